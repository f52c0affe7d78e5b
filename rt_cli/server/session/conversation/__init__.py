"""The conversation side of a session: items and responses."""
