"""Sound on this machine; no network."""
