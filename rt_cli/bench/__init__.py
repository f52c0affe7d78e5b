"""An endpoint under load: what many sessions at once feel, and how many of them it bears."""
