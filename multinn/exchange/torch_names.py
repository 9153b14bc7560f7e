"""What PyTorch calls the weights of a layer, by the place that it has in a model."""

from collections.abc import Callable

from multinn.exchange.places import Path, Place
from multinn.layers import Bidirectional, Container, Layer, TransformerBlock

# The parts of torch.nn.TransformerEncoderLayer, by their paths in our block.
_NORMALIZED_FIRST: dict[Path, str] = {
    (0, 1, 0): "norm1",
    (0, 1, 1): "self_attn",
    (1, 1, 0): "norm2",
    (1, 1, 1): "linear1",
    (1, 1, 3): "linear2",
}
_NORMALIZED_LAST: dict[Path, str] = {
    (0, 1, 0): "self_attn",
    (1,): "norm1",
    (2, 1, 0): "linear1",
    (2, 1, 2): "linear2",
    (3,): "norm2",
}


def name_of(model: Layer, place: Place) -> Callable[[str], str]:
    """Return what makes the name of an entry of the ``state_dict`` from that in the layer itself.

    Raises:
        ValueError: PyTorch has no such layer, or puts its outputs in another order.
    """
    parts, end = _parts(model, place, place.path)
    return lambda key: ".".join([*parts, f"{key}{end}"])


def _parts(layer: Layer, place: Place, path: Path) -> tuple[list[str], str]:
    """Return the names on the way from a layer to a place, and the end of the last name."""
    if isinstance(layer, Bidirectional):
        child = layer.children[path[0]]
        assert child == place.layer
        if layer.layer.go_backwards and layer.merge == "concatenate":
            raise ValueError(
                f"{place}: expected Bidirectional of a layer that goes forwards, whose outputs come "
                "first in PyTorch, got go_backwards=True; leave that out, or merge by 'sum'"
            )
        return [], "_reverse" if getattr(child, "go_backwards", False) else ""
    if isinstance(layer, TransformerBlock):
        parts = _NORMALIZED_FIRST if layer.pre_normalization else _NORMALIZED_LAST
        if path not in parts:
            raise ValueError(f"{place}: expected no weights, PyTorch's layer of the same name has none")
        return [parts[path]], ""
    if isinstance(layer, Container):
        names, end = _parts(layer.children[path[0]], place, path[1:])
        return [str(path[0]), *names], end
    return [], ""
