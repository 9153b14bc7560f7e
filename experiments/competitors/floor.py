"""The floor: only the matrix products of a workload, in NumPy, into preallocated arrays."""

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
"""Two factors, and the array for their product."""

Size = tuple[int, int, int]
"""The rows, inputs and units of a layer; a row of a convolution is a patch."""


class Floor(ModelCompetitor):
    """Only products: no batches, biases, activations, loss or update.

    The products of a layer are the outputs, the gradient of the weights and, except in the first layer,
    the gradient of the inputs. A convolution is a product with patches, whose extraction is not
    counted.
    """

    name = "floor"

    def build(self, workload: Workload, x: HostArray, y: HostArray, seed: int) -> "Products":
        """Return the products; the data is not used."""
        return Products(workload, seed)


class Products(Model):
    """The products of a step, and of a smaller last step, on constant numbers.

    The examples are the rows or the columns of the matrices, whichever is faster.
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
        """Compute the products of a training run."""
        for _ in range(self._workload.epochs):
            for _ in range(self._steps):
                _multiply(self._products)
            _multiply(self._last_products)

    def outputs(self) -> HostArray:
        """Compute the products of a prediction, and return the last one."""
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
    """Return the size of each layer's product for a batch; no sizes for a batch of 0."""
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
        sizes: the sizes of the layers.
        columns: whether the examples are the columns of the matrices.
        training: whether gradients are computed.
        generator: draws the numbers.
    """

    def matrix(rows: int, width: int) -> HostArray:
        """Return random numbers, (rows, width), in row-major or column-major order."""
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
