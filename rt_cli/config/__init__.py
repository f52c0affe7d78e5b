"""From options, environment and config file to settings. Imports no Typer."""
