"""Faults that ``--fault`` asks for."""
