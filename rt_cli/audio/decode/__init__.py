"""Files and pipes to PCM."""
