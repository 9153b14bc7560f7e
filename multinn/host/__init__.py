"""Work on the host, outside of arrays: checks, progress, interrupts, files."""
