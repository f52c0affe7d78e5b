"""Writing files without blocking the event loop."""
