"""``rt bench``: an endpoint under load."""
