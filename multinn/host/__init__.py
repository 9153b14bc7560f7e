"""Helpers that need no backend: checks of arguments, progress, interrupts, files."""
