"""MCP servers of a conversation: read from a file, started, asked for their tools, called, ended (``rt-cli[mcp]``)."""
