"""The test vectors of ONNX's operators, and how they are computed here."""

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from onnx import helper
from onnx.backend.test.case import node as cases

from backends import Backend, HostArray, Tree, tree
from multinn import Layer
from multinn.layers.base import values_of, with_mask
from tests.support.layer_runs import training_key

Outputs = Sequence[Any]


class Inexpressible(Exception):  # noqa: N818  # it is no failure
    """No layer, loss or optimizer computes this vector."""


@dataclass(frozen=True)
class Vector:
    """One test vector.

    Attributes:
        name: its name in ONNX.
        operator: the operator.
        attributes: the attributes that are not left to their defaults.
        inputs: the inputs by position, None for one that is left out.
        outputs: the expected outputs by position, likewise.
    """

    name: str
    operator: str
    attributes: dict[str, Any]
    inputs: list[Any]
    outputs: list[Any]

    def get(self, attribute: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.attributes.get(attribute, default)

    def input(self, position: int) -> Any:
        """Return an input, None if there is none."""
        return self.inputs[position] if position < len(self.inputs) else None


_recorded: dict[str, list[Vector]] = defaultdict(list)


def vectors(operator: str) -> list[Vector]:
    """Return the vectors of an operator; only the files that may define them are imported."""
    start = operator.lower()[:9]  # older versions of onnx shorten the names of some files
    with patch.object(cases, "expect", _record):
        for module in pkgutil.iter_modules(cases.__path__):
            if module.name.replace("_", "").startswith(start):
                importlib.import_module(f"{cases.__name__}.{module.name}")
    return _recorded[operator]


def _record(node: Any, inputs: Any, outputs: Any, name: str, **others: Any) -> None:
    attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    attributes = {key: v.decode() if isinstance(v, bytes) else v for key, v in attributes.items()}
    _recorded[node.op_type].append(
        Vector(
            name.removeprefix("test_"),
            node.op_type,
            attributes,
            _by_position(node.input, inputs),
            _by_position(node.output, outputs),
        )
    )


def _by_position(names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    rest = iter(values)
    return [next(rest) if name else None for name in names]


@dataclass(frozen=True)
class Run:
    """Computations on one backend, from and to NumPy arrays."""

    backend: Backend

    def __call__(self, layer: Layer, x: Any, params: Tree = None, **options: Any) -> HostArray:
        """Return the output of a layer that could draw such parameters; the options of `with_cache`."""
        return self.with_cache(layer, x, params, **options)[0]

    def with_cache(
        self,
        layer: Layer,
        x: Any,
        params: Tree = None,
        state: Tree = None,
        training: bool = False,
        mask: HostArray | None = None,
    ) -> tuple[HostArray, Tree]:
        """Return the output, and the cache as arrays of the backend."""
        shapes = tuple(each.shape[1:] for each in x) if isinstance(x, tuple) else x.shape[1:]
        drawn, _ = layer.init(np.random.default_rng(0), shapes)
        params = {} if params is None else params
        assert tree.map(np.shape, params) == tree.map(np.shape, drawn)
        put = self.backend.from_numpy
        inputs, key = put(x), training_key(self.backend) if training else None
        if mask is not None:
            inputs = with_mask(inputs, put(mask))
        y, cache = layer.forward_with_state(self.backend, put(params), put(state), inputs, key)
        return self.backend.to_numpy(values_of(y)), cache


Builder = Callable[[Vector, Run], Outputs]
BUILDERS: dict[str, Builder] = {}


def builds(*operators: str) -> Callable[[Builder], Builder]:
    def register(builder: Builder) -> Builder:
        BUILDERS.update(dict.fromkeys(operators, builder))
        return builder

    return register


def require(condition: bool, reason: str) -> None:
    if not condition:
        raise Inexpressible(reason)


def channels_last(x: HostArray) -> HostArray:
    return np.moveaxis(x, 1, -1)


def channels_first(x: HostArray) -> HostArray:
    return np.moveaxis(x, -1, 1)
