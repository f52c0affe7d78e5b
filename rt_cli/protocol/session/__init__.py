"""State of a run's turns: takes server events, returns effects. Pure: no I/O."""
