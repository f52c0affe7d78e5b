"""What is at the other end: the network, and the endpoint behind it."""
