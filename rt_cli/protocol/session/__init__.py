"""Server events in, decisions out."""
