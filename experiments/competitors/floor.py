"""The floor: only the matrix products of a workload, in NumPy, into preallocated arrays."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from backends import HostArray
from experiments.competitors.models import Model, ModelCompetitor, Setting, blas_thread_settings
from experiments.competitors.networks import Product
from experiments.competitors.workloads import Workload

Factors = tuple[HostArray, HostArray, HostArray]
"""Two factors, and the array for their product; with three axes, products of several matrices."""


class Floor(ModelCompetitor):
    """Only products: no batches, biases, activations, loss or update.

    The products of a layer are the outputs, the gradient of the weights and, except in the first layer,
    the gradient of the inputs. A convolution is a product with patches, whose extraction is not
    counted. Products that a layer repeats, such as those of each time step, are computed in one call,
    also those of the gradient of recurrent weights, which one larger product would give in less time.
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
        sizes = [workload.network.products(rows) if rows else [] for rows in (batch_size, rest)]
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

    def _set(self, products: list[Factors], last: list[Factors], set_threads: Setting) -> None:
        set_threads()
        self._products, self._last_products = products, last


def _multiply(products: Sequence[Factors]) -> None:
    for left, right, out in products:
        np.matmul(left, right, out=out)


def layer_products(
    sizes: Sequence[Product], columns: bool, training: bool, generator: np.random.Generator
) -> list[Factors]:
    """Return the products of one step, on random numbers.

    Args:
        sizes: the products of the forward pass.
        columns: whether the examples are the columns of the matrices.
        training: whether gradients are computed.
        generator: draws the numbers.
    """

    def matrices(times: int, rows: int, width: int) -> HostArray:
        """Return random matrices, (rows, width), in row-major or column-major order."""
        shape = (times, width, rows) if columns else (times, rows, width)
        values = generator.random(shape if times > 1 else shape[1:], dtype=np.float32)
        return values.mT if columns else values

    def product(left: HostArray, right: HostArray, times: int) -> Factors:
        out = matrices(times, left.shape[-2], right.shape[-1])
        return (right.mT, left.mT, out.mT) if columns else (left, right, out)

    forward: list[Factors] = []
    backward: list[Factors] = []
    for index, (rows, inputs, units, times) in enumerate(sizes):
        x, W = matrices(times, rows, inputs), matrices(times, inputs, units)
        dy = matrices(times, rows, units)
        forward.append(product(x, W, times))
        gradients = [product(x.mT, dy, times), product(dy, W.mT, times)]
        backward = [*gradients[: 2 if index else 1], *backward]
    return [*forward, *backward] if training else forward
