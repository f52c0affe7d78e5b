"""Speech to text behind one interface."""
