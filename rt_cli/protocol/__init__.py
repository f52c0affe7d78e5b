"""What is said on the wire; pure: no asyncio, no sockets, no files."""
