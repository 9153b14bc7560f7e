"""Hyperparameters, their descriptions for JSON, and the registry of names in descriptions."""
