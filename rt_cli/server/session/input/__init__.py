"""The input side of a session: from audio to turns to transcripts."""
