"""What a script or a person gets to see."""
