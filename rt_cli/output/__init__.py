"""What a run reports, on stdout, stderr and in files. Sees events only."""
