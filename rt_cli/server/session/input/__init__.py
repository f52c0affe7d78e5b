"""The input side of a session: audio to turns to words."""
