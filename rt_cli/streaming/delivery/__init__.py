"""From the tape over connections, until all of it is settled."""
