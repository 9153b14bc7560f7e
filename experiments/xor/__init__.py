"""A network that learns XOR."""
