"""A function, compiled for arrays of given shapes and dtypes."""

from collections.abc import Callable
from contextlib import nullcontext
from threading import Lock
from typing import Any

import numpy as np

from backends import tree as trees
from backends.blas_threads import one_blas_thread
from backends.denormals import denormals_as_zeros
from backends.numpy_jit.calls import is_convolution
from backends.numpy_jit.recording import is_recorded, record_function
from backends.numpy_jit.scopes import Scope
from backends.numpy_jit.writing import Writer
from backends.tree import Tree


def compile_function(function: Callable[..., Tree], example: tuple[Tree, ...]) -> Callable[..., Tree]:
    """Return a function that replays ``function`` for arguments of the example's shapes and dtypes.

    Its results are new arrays. For arguments with another order of axes in memory it compiles again,
    because NumPy may then add in another order. If it is called while another function is compiled, it
    becomes part of that function.

    Args:
        function: a pure function of trees of arrays.
        example: arguments of the shapes and dtypes to compile for.

    Raises:
        TypeError: ``function`` branches on the numbers of an array, or writes into an array; or an
            argument is no array, or has another shape or dtype than the example.
    """
    return function if is_recorded(example) else CompiledFunction(function, example)


class CompiledFunction:
    """A function that is compiled for each order of axes in memory that it meets."""

    def __init__(self, function: Callable[..., Tree], example: tuple[Tree, ...]) -> None:
        self._function = function
        self._expected = _descriptions(example)
        self._programs = {_signature(example): _Program(function, example)}

    @property
    def nbytes(self) -> int:
        """The bytes of memory kept between calls."""
        return sum(program.nbytes for program in list(self._programs.values()))

    def __call__(self, *arguments: Tree) -> Tree:
        """Return the result of the function."""
        signature = _signature(arguments)
        program = self._programs.get(signature)
        if program is None:
            if is_recorded(arguments):
                return self._function(*arguments)
            _check(arguments, self._expected)
            program = self._programs[signature] = _Program(self._function, arguments)
        return program(arguments)


class _Program:
    """One recording as a Python function, with its buffers and constants.

    Attributes:
        nbytes: the size of the buffers.
    """

    def __init__(self, function: Callable[..., Tree], example: tuple[Tree, ...]) -> None:
        scope = Scope()
        try:
            with np.errstate(all="ignore"), denormals_as_zeros():
                arguments, outputs = record_function(function, example, scope)
                self._convolves = any(map(is_convolution, scope.values))
                leaves = trees.leaves(arguments), trees.leaves(outputs)
                writer = Writer(*leaves, blas_has_threads=not self._convolves)
                self._replay = writer.source.function()
                self.nbytes = writer.nbytes
        finally:
            for value in scope.values:  # a cycle, which would keep the examples
                value.maker = None
            scope.values.clear()
        self._places = _places(outputs)
        self._lock = Lock()  # the buffers serve one call at a time

    def __call__(self, arguments: tuple[Tree, ...]) -> Tree:
        blas = one_blas_thread() if self._convolves else nullcontext()
        with self._lock, blas, np.errstate(all="ignore"), denormals_as_zeros():
            results = self._replay(*trees.leaves(arguments))
        return trees.map(lambda place: results[place], self._places)


def _places(tree: Tree) -> Tree:
    """Return the tree with each leaf replaced by its position in the order of the leaves."""
    marks = trees.map(lambda _: object(), tree)
    order = {mark: place for place, mark in enumerate(trees.leaves(marks))}
    return trees.map(lambda mark: order[mark], marks)


def _signature(arguments: Tree) -> tuple[Any, ...]:
    """Return the structure, and the kinds of leaves, for which a program is compiled."""
    return _structure(arguments), *[_kind(leaf) for leaf in trees.leaves(arguments)]


def _kind(leaf: Any) -> tuple[Any, ...]:
    if type(leaf) is np.ndarray or isinstance(leaf, np.generic):
        return isinstance(leaf, np.generic), leaf.shape, leaf.dtype, leaf.strides
    return (type(leaf),)


def _structure(tree: Tree) -> Any:
    if isinstance(tree, dict):
        return dict, *[(key, _structure(tree[key])) for key in sorted(tree)]
    if isinstance(tree, tuple | list):
        return type(tree), *[_structure(child) for child in tree]
    return tree is None


def _descriptions(arguments: Tree) -> dict[str, str]:
    """Return the description of each leaf, by its path.

    Raises:
        TypeError: a leaf is no array of numbers.
    """
    return {path: _description(path, leaf) for path, leaf in trees.leaves_with_paths(arguments)}


def _description(path: str, leaf: Any) -> str:
    if len(_kind(leaf)) == 1 or leaf.dtype.hasobject:
        raise TypeError(
            f"argument {path}: a compiled function takes NumPy arrays of numbers, got "
            f"{type(leaf).__name__}; see from_numpy of the backend"
        )
    return f"an array of {leaf.dtype} {leaf.shape}"


def _check(arguments: Tree, expected: dict[str, str]) -> None:
    """Raise TypeError if the arguments differ from the expected ones in more than the order of axes."""
    got = _descriptions(arguments)
    for path in sorted(expected.keys() | got.keys()):
        before, now = expected.get(path, "nothing"), got.get(path, "nothing")
        if before != now:
            raise TypeError(f"argument {path}: this function is compiled for {before}, got {now}")
