"""Hyperparameters, their descriptions for JSON, and the registry of the names in descriptions."""
