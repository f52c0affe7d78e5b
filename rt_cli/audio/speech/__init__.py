"""Voice activity and the end of a turn."""
