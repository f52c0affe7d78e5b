"""``rt doctor``: checks of this machine and the endpoint, with a fix for each failure."""
