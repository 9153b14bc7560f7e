"""A network that classifies handwritten digits."""
