"""Faults of ``--fault``: errors on purpose, to test clients."""
