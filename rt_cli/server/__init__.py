"""``rt serve``: the embedded OpenAI Realtime endpoint. Must not import ``streaming``."""
