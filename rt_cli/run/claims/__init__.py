"""Claims of ``--skip-done``: which of many processes, on many machines, works on a source. No asyncio."""
