"""A generator by which a model shows only the shapes of its parameters."""

import numpy as np


class ShapesOnly(np.random.Generator):
    """A generator for which initializers draw nothing and return zeros.

    With it, `Layer.init` finds the shapes of the parameters and of the output at little cost.
    """

    def __init__(self) -> None:
        super().__init__(np.random.PCG64(0))
