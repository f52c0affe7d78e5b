"""What an answer says, and with which voice."""
