"""What a test expects of a conversation, and the report of what became of it."""
