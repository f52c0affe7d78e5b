"""Fetching and storing keys. Imports no Typer."""
