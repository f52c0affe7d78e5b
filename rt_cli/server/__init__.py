"""``rt serve``: an OpenAI Realtime endpoint of our own. Never imports ``streaming``."""
