"""Tasks on the host outside of arrays: checks of arguments, progress, interrupts, files."""
