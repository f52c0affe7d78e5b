"""What goes to stdout and to result files."""
