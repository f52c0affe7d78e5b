"""Results: formats, order of sources, stdout and result files."""
