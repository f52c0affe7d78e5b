"""One source to one endpoint. Never imports ``server``."""
