"""One client's session: what it may set, its turns, its conversation, its replies."""
