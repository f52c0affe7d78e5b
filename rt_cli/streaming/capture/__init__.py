"""From the source onto the tape."""
