"""What the program believes to run on: time, threads, the event loop, disk, standard streams, sources of sound."""
