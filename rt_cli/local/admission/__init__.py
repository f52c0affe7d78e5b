"""Who gets in, and what a client may take."""
