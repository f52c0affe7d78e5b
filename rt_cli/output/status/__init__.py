"""Status on stderr: the live view or plain lines."""
