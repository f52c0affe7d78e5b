"""Programs that the endpoint may call: named on the command line, run without a shell, bounded in time and output."""
