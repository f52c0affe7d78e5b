"""What turns speech into words: one seam, several engines."""
