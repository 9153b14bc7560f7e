"""The floor: only the matrix products of a workload, at their shapes, in NumPy, into buffers."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from backends import HostArray
from experiments.competitors.models import (
    Model,
    ModelCompetitor,
    Setting,
    blas_thread_settings,
    weight_shapes,
)
from experiments.competitors.workloads import Network, Workload

Product = tuple[HostArray, HostArray, HostArray]
"""Two factors, and where their product goes."""

Size = tuple[int, int, int]
"""The rows, inputs and units of a layer: of a convolution, a row is a patch."""


class Floor(ModelCompetitor):
    """No gathering, no biases, activations, loss or update: what is left is the products.

    Of each layer: the outputs, the gradient of the weights, and, but for the first layer, that of the
    inputs. A convolution is the product of its weights with the patches of its inputs, which are there
    already.
    """

    name = "floor"

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "Products":
        """Return the products; of the arguments, the workload and the seed count."""
        return Products(workload, seed)


class Products(Model):
    """The products of one step, and of the smaller last one, on numbers that stay the same.

    The examples are the rows of the matrices or the columns, whichever is faster.
    """

    def __init__(self, workload: Workload, seed: int) -> None:
        self._workload = workload
        training = workload.task == "train"
        batch_size = workload.batch_size if training else workload.examples
        self._steps, rest = divmod(workload.examples, batch_size)
        sizes = [layer_sizes(workload.network, rows) for rows in (batch_size, rest)]
        generator = np.random.default_rng(seed)
        self._layouts = [
            [layer_products(layers, columns, training, generator) for layers in sizes]
            for columns in (False, True)
        ]
        self._products, self._last_products = self._layouts[0]

    def train(self) -> None:
        """Multiply what a training run multiplies."""
        for _ in range(self._workload.epochs):
            for _ in range(self._steps):
                _multiply(self._products)
            _multiply(self._last_products)

    def outputs(self) -> HostArray:
        """Multiply what a prediction multiplies, and return the last product."""
        _multiply(self._products)
        return self._products[-1][-1]

    def settings(self) -> list[Setting]:
        """Return both layouts, on each number of threads."""
        threads = blas_thread_settings()
        return [
            partial(self._set, step, last, set_threads)
            for step, last in self._layouts
            for set_threads in threads
        ]

    def _set(self, products: list[Product], last: list[Product], set_threads: Setting) -> None:
        set_threads()
        self._products, self._last_products = products, last


def _multiply(products: Sequence[Product]) -> None:
    for left, right, out in products:
        np.matmul(left, right, out=out)


def layer_sizes(network: Network, batch: int) -> list[Size]:
    """Return the size of each layer's product for a batch; none for a batch of 0."""
    if not batch:
        return []
    sizes: list[Size] = []
    side = network.input_shape[0]
    for shape in weight_shapes(network):
        *kernel, inputs, units = shape
        rows = batch
        if kernel:
            side = side - kernel[0] + 1
            rows, inputs = batch * side * side, kernel[0] * kernel[1] * inputs
            side = side // 2
        sizes.append((rows, inputs, units))
    return sizes


def layer_products(
    sizes: Sequence[Size], columns: bool, training: bool, generator: np.random.Generator
) -> list[Product]:
    """Return the products of one step, on random numbers.

    Args:
        sizes: of the layers.
        columns: whether the examples are the columns of the matrices.
        training: whether there are gradients.
        generator: draws the numbers.
    """

    def matrix(rows: int, width: int) -> HostArray:
        """Return random numbers, (rows, width), laid out in memory by rows or by columns."""
        if columns:
            return generator.random((width, rows), dtype=np.float32).T
        return generator.random((rows, width), dtype=np.float32)

    def product(left: HostArray, right: HostArray) -> Product:
        out = matrix(len(left), right.shape[1])
        return (right.T, left.T, out.T) if columns else (left, right, out)

    forward: list[Product] = []
    backward: list[Product] = []
    for index, (rows, inputs, units) in enumerate(sizes):
        x, W, dy = matrix(rows, inputs), matrix(inputs, units), matrix(rows, units)
        forward.append(product(x, W))
        gradients = [product(x.T, dy), product(dy, W.T)]
        backward = [*gradients[: 2 if index else 1], *backward]
    return [*forward, *backward] if training else forward
