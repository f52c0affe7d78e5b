"""Repliers: they write and speak the answers to turns."""
