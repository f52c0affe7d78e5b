"""What people see on stderr."""
