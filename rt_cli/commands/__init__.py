"""The commands, one short file each, and nothing else."""
