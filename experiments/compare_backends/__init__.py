"""Seconds and memory of the same jobs on each backend."""
