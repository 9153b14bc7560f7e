"""A transformer that learns to write, character by character."""
