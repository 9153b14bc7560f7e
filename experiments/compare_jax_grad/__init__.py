"""Hand-derived gradients beside jax.grad: the time of an epoch."""
