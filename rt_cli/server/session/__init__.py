"""One session: reads the client's events, sends the endpoint's events."""
