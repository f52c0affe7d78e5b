"""Waiting, repeating, noticing delays."""
