"""Layers made of layers: in sequence, or in parallel."""
