"""Scripted servers that answer as providers do: one file each, on :mod:`tests.standins.standin`."""
