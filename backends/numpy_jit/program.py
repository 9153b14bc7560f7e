"""A function, compiled for arrays of given shapes and dtypes."""

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np

from backends import tree as trees
from backends.numpy_jit.recording import is_recorded, record_function
from backends.numpy_jit.scopes import Scope
from backends.numpy_jit.writing import Writer
from backends.tree import Tree


def compile_function(function: Callable[..., Tree], example: tuple[Tree, ...]) -> Callable[..., Tree]:
    """Return a function that replays what ``function`` does on arguments of these shapes and dtypes.

    Its results are new arrays. For arguments whose axes are in another order in memory than before it
    compiles once more, as NumPy may then add up in another order. Called while another function is
    being compiled, it is a part of that one.

    Args:
        function: pure, on trees of arrays.
        example: arguments of the shapes and dtypes that the result is for.

    Raises:
        TypeError: ``function`` branches on the value of an array, or writes into one; or an argument is
            no array, or not of the shape and dtype that the function is compiled for.
    """
    return function if is_recorded(example) else CompiledFunction(function, example)


class CompiledFunction:
    """What `compile_function` returns."""

    def __init__(self, function: Callable[..., Tree], example: tuple[Tree, ...]) -> None:
        self._function = function
        self._expected = _descriptions(example)
        self._programs = {_signature(example): _Program(function, example)}

    @property
    def nbytes(self) -> int:
        """The bytes of memory that it keeps between calls."""
        return sum(program.nbytes for program in list(self._programs.values()))

    def __call__(self, *arguments: Tree) -> Tree:
        """Return what the function returns."""
        signature = _signature(arguments)
        program = self._programs.get(signature)
        if program is None:
            if is_recorded(arguments):
                return self._function(*arguments)
            _check(arguments, self._expected)
            program = self._programs[signature] = _Program(self._function, arguments)
        return program(arguments)


class _Program:
    """What one recording does. It holds buffers and constants, and nothing else of the recording.

    Attributes:
        nbytes: of the buffers.
    """

    def __init__(self, function: Callable[..., Tree], example: tuple[Tree, ...]) -> None:
        scope = Scope()
        try:
            with np.errstate(all="ignore"):
                arguments, outputs = record_function(function, example, scope)
                writer = Writer(trees.leaves(arguments), trees.leaves(outputs))
                self._replay = writer.source.function()
                self.nbytes = writer.nbytes
        finally:
            for value in scope.values:  # without these cycles, the examples are freed at once
                value.maker = None
            scope.values.clear()
        self._places = _places(outputs)
        self._lock = Lock()  # the buffers serve one call at a time

    def __call__(self, arguments: tuple[Tree, ...]) -> Tree:
        with self._lock, np.errstate(all="ignore"):
            results = self._replay(*trees.leaves(arguments))
        return trees.map(lambda place: results[place], self._places)


def _places(tree: Tree) -> Tree:
    """Return the tree with the position of each leaf among the leaves instead of the leaf."""
    marks = trees.map(lambda _: object(), tree)
    order = {mark: place for place, mark in enumerate(trees.leaves(marks))}
    return trees.map(lambda mark: order[mark], marks)


def _signature(arguments: Tree) -> tuple[Any, ...]:
    """Return all that a program is made for."""
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
    """Describe each leaf, by its place.

    Raises:
        TypeError: one is no array.
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
    """Raise TypeError unless the arguments differ from those expected in the order of axes alone."""
    got = _descriptions(arguments)
    for path in sorted(expected.keys() | got.keys()):
        before, now = expected.get(path, "nothing"), got.get(path, "nothing")
        if before != now:
            raise TypeError(f"argument {path}: this function is compiled for {before}, got {now}")
