"""PCM in memory: formats, resampling, channels, gain, and what a source of sound is."""
