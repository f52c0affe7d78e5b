"""Containers and URLs, which are read once from their beginning: by libav on a thread, or kept in a file."""
