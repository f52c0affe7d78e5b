"""The command line: options to settings to one call to an exit code."""
