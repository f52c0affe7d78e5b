"""What engines share: items and their tasks, the reading of open pieces, threads of a model."""
