"""Measured sessions in processes: what runs them, apart from what shows their results."""
