"""The pocketsphinx engine: decoders in processes of their own, shared by all sessions."""
