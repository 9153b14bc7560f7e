"""The seconds and the memory of the same jobs on each backend."""
