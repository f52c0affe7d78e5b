"""Output of a run: results, status and logs, on stdout, stderr and in files. Input: events only."""
