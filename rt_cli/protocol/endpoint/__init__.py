"""Which endpoint, at which URL, with which key."""
