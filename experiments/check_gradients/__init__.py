"""The check of the gradients of every layer and loss against every oracle."""
