"""The pocketsphinx engine: decoders in separate processes, shared by all sessions."""
