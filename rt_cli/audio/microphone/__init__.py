"""Capture from an input device. Only this package imports sounddevice."""
