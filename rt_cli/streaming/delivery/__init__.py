"""From the tape over one connection after another, until all audio is settled."""
