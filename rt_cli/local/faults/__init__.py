"""What breaks on request: the grammar, what it makes of events, how a connection breaks."""
