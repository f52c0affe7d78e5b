"""What is said on the wire, and what follows from it. Pure: no I/O."""
