"""From settings and sources to an exit code. Imports no Typer."""
