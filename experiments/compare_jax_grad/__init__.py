"""The time of an epoch with hand-derived gradients and with jax.grad."""
