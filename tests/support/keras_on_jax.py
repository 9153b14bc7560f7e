"""Keras on JAX; without Keras, the test file that imports this is skipped."""

import pytest

with pytest.MonkeyPatch.context() as environment:
    # A process has one: that which the Keras of experiments/competitors needs.
    environment.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
