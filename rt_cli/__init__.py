"""Realtime audio streaming: sound in from a microphone, a file or a pipe; words out of any realtime endpoint."""

__version__ = "0.1.0"
