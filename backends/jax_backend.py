"""JAX: compiled by XLA, on the CPU or an accelerator."""

import re
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from backends import jax_convolution
from backends import tree as trees
from backends.aligned import CACHE_LINE, LARGE, aligned_copy
from backends.base import PRECISIONS, Array, Backend, Function, HostArray, unknown_precision
from backends.errors import DeviceNotFoundError, PrecisionError
from backends.tree import Tree
from backends.windows import Pair


class JaxBackend(Backend):
    """JAX on one device, compiled by XLA: the fastest for small networks.

    float64 is local to ``precision``; only `keep_compiled` sets flags of JAX.

    Attributes:
        devices: the devices that JAX finds on this machine.
    """

    name: ClassVar[str] = "jax"
    xp: Any = jnp

    def __init__(self, device: str | None = None) -> None:
        self._device = _find_device(device)
        self.device = _name(self._device)
        self._on_host = self._device.platform == "cpu"
        self.devices = tuple(map(_name, jax.devices()))

    @property
    def version(self) -> str:
        return jax.__version__

    def from_numpy(self, tree: Tree) -> Tree:
        return trees.map(self._put, tree)

    def to_numpy(self, tree: Tree) -> Tree:
        return trees.map(np.asarray, tree)

    def scatter_add(self, table: Array, ids: Array, rows: Array) -> Array:
        return table.at[ids].add(rows)

    def _convolve(self, x: Array, weights: Array, *options: Any) -> Array:
        convolve = jax_convolution.convolve_on_cpu if self._on_host else jax_convolution.convolve
        return convolve(x, weights, *options)

    def _convolve_weights(self, x: Array, dy: Array, size: Pair, *options: Any) -> Array:
        on_cpu, elsewhere = jax_convolution.convolve_weights_on_cpu, jax_convolution.convolve_weights
        return (on_cpu if self._on_host else elsewhere)(x, dy, size, *options)

    def jit(self, function: Function, *example: Tree) -> Function:
        jitted = jax.jit(function)
        return jitted.lower(*example).compile() if example else jitted

    def scan(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree
    ) -> tuple[Tree, Tree]:
        trees.scan_length(xs)
        carry, ys = jax.lax.scan(step, carry, xs)
        return carry, ys

    def all_finite(self, tree: Tree) -> Array:
        # One sum: for a test of each leaf, XLA compiles several kernels, which takes a fifth of the
        # time in which a small network compiles. 0 · ∞ and 0 · NaN are NaN. It takes as much memory as
        # the state meanwhile.
        floats = [leaf for leaf in trees.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
        numbers = jnp.concatenate([jnp.zeros(0), *map(jnp.ravel, floats)])
        return jnp.sum(0.0 * numbers) == 0.0

    def scan_first(
        self, step: Callable[[Tree, Tree], tuple[Tree, Tree]], carry: Tree, xs: Tree, count: Array
    ) -> tuple[Tree, Tree]:
        step = jax.jit(step, inline=True)  # traced once, for the shapes of ys and for the loop

        def entry(index: Any) -> Tree:
            return trees.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, index, keepdims=False), xs)

        def one_round(index: Any, carry_and_ys: tuple[Tree, Tree]) -> tuple[Tree, Tree]:
            carry, ys = carry_and_ys
            carry, y = step(carry, entry(index))
            return carry, trees.map(lambda ys, y: ys.at[index].set(y), ys, y)

        length = trees.scan_length(xs)
        _, y = jax.eval_shape(lambda carry: step(carry, entry(0)), carry)
        ys = trees.map(lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype), y)
        carry, ys = jax.lax.fori_loop(0, count, one_round, (carry, ys))
        return carry, ys

    def derivative(self, function: Callable[[Tree], Array], at: Tree) -> Tree:
        value, pull_back = jax.vjp(function, at)
        return pull_back(jnp.ones_like(value))[0]

    def sync(self, tree: Tree) -> Tree:
        return jax.block_until_ready(tree)  # type: ignore[no-untyped-call]

    def precision(self, dtype: str) -> AbstractContextManager[None]:
        if dtype not in PRECISIONS:
            raise unknown_precision(self.name, dtype)
        return jax.enable_x64(True) if dtype == "float64" else nullcontext()

    def keep_compiled(self, folder: Path) -> None:
        config: Any = jax.config
        if config.jax_compilation_cache_dir:
            return
        config.update("jax_compilation_cache_dir", str(folder))
        config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # keeps small programs too
        # JAX compiles again if it cannot read a file, and warns each time.
        warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")

    def _put(self, leaf: Any) -> Array:
        array = np.asarray(leaf)
        if jax.dtypes.canonicalize_dtype(array.dtype) != array.dtype:
            raise PrecisionError(
                f"JAX would turn {array.dtype} into {jax.dtypes.canonicalize_dtype(array.dtype)} here: "
                "convert the array first, or make this call within `with backend.precision('float64'):`"
            )
        return jax.device_put(_aligned(array) if self._on_host else array, self._device)


def _aligned(array: HostArray) -> HostArray:
    """Return an equal array, aligned if it is large.

    JAX shares aligned memory, and copies other memory, in one thread and into new memory.
    """
    if array.nbytes < LARGE or array.ctypes.data % CACHE_LINE == 0:
        return array
    jnp.asarray(0.0)  # JAX lets go of memory that it does not use any more
    return aligned_copy(array)


def _find_device(device: str | None) -> jax.Device:
    if device is None:
        return jax.devices()[0]
    parts = re.fullmatch(r"([a-z]+)(?::(\d+))?", device)
    try:
        return jax.devices(parts[1])[int(parts[2] or 0)] if parts else _no_device()
    except (RuntimeError, IndexError) as error:
        present = ", ".join(f"'jax:{_name(each)}'" for each in jax.devices())
        raise DeviceNotFoundError(
            f"JAX finds no device {device!r} on this machine; it finds {present}"
        ) from error


def _name(device: jax.Device) -> str:
    return f"{device.platform}:{device.id}"


def _no_device() -> jax.Device:
    raise IndexError("not of the form platform or platform:index")
