"""Controls of a run besides Ctrl-C: terminal keys, signals, a FIFO."""
