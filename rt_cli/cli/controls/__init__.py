"""What controls a run besides Ctrl-C: keys of the terminal, signals, a FIFO."""
