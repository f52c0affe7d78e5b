"""Realtime transcription: streams audio from a microphone, a file or a pipe to any realtime endpoint."""

__version__ = "0.1.0"
