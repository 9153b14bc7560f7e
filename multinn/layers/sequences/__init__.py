"""Layers for sequences: embedding and recurrence."""
