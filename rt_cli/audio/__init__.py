"""PCM in memory: formats, resampling, channels, gain, and the Source protocol."""
