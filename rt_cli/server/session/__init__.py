"""One client: its events in, the endpoint's events out."""
