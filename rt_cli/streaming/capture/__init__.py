"""From the source to the tape."""
