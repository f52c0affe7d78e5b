"""Replays the endpoint's side of a recorded session."""
