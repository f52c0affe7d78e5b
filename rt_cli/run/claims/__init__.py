"""Which of many runs, on many machines, sends a source: shards of a list, and the claims of ``--skip-done``."""
