"""Capture from an input device. The only room that imports sounddevice."""
