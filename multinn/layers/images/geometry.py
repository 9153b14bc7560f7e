"""Where the windows of convolution and pooling lie: their size, stride, dilation and padding."""

from dataclasses import dataclass
from typing import Any, Literal

from backends import Shape
from multinn.host.checks import is_integer

Pair = tuple[int, int]
Margins = tuple[Pair, Pair]
Rule = Literal["valid", "same", "causal"]
Padding = Literal["valid", "same"] | int | Pair | Margins
Padding1D = Rule | int | Pair

_NONE = (0, 0)


@dataclass(frozen=True)
class Geometry:
    """Where windows lie on images; sequences are images of height 1.

    Along each axis, a window of size k and dilation d reaches over e = d (k - 1) + 1 entries, and images
    of length n with p entries of padding in all have (n + p - e) // s + 1 windows at stride s.

    Attributes:
        size: how many places a window has, down and across.
        stride: from one window to the next.
        dilation: from one place of a window to the next.
        padding: ((top, bottom), (left, right)), or the rule that it follows: "valid" is none; "same" is
            what it takes to have ceil(n / s) windows, half of it before and, if it is odd, one more
            after; "causal" is e - 1 before, so that no window reaches beyond its own position.
    """

    size: Pair
    stride: Pair
    dilation: Pair = (1, 1)
    padding: Rule | Margins = "valid"

    @classmethod
    def of_sequences(cls, size: int, stride: int, dilation: int, padding: Rule | Pair) -> "Geometry":
        """Return where windows lie on sequences, whose padding is (before, after) or a rule."""
        margins = padding if isinstance(padding, str) else (_NONE, padding)
        return cls((1, size), (1, stride), (1, dilation), margins)

    @property
    def extent(self) -> Pair:
        """The rows and columns that a window reaches over."""
        down, across = (d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))
        return down, across

    def margins(self, shape: Shape) -> Margins:
        """Return ((top, bottom), (left, right)) of the padding of images (height, width)."""
        if self.padding == "valid":
            return _NONE, _NONE
        if self.padding == "causal":
            return (self.extent[0] - 1, 0), (self.extent[1] - 1, 0)
        if self.padding == "same":
            down, across = map(_same, shape, self.extent, self.stride)
            return down, across
        return self.padding

    def padded(self, shape: Shape) -> Pair:
        """Return (height, width) with the padding."""
        height, width = (n + sum(m) for n, m in zip(shape, self.margins(shape), strict=True))
        return height, width

    def count(self, shape: Shape) -> Pair:
        """Return how many windows fit into images (height, width), as (rows, columns)."""
        lengths = zip(self.padded(shape), self.extent, self.stride, strict=True)
        rows, columns = ((n - e) // s + 1 for n, e, s in lengths)
        return rows, columns


def _same(length: int, extent: int, stride: int) -> Pair:
    missing = max((-(-length // stride) - 1) * stride + extent - length, 0)
    return missing // 2, missing - missing // 2


def pair(layer: str, name: str, value: Any, least: int = 1) -> Pair:
    """Return a hyperparameter as (for the height, for the width).

    Raises:
        ValueError: it is neither an integer of at least that nor a pair of such.
    """
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(_is_integer(each, least) for each in both):
        raise ValueError(
            f"{layer}: expected {name} of {least} or more, or a pair of such, got {value!r}"
        )
    return int(both[0]), int(both[1])


def integer(layer: str, name: str, value: Any) -> int:
    """Return a hyperparameter that is an integer.

    Raises:
        ValueError: it is none of 1 or more.
    """
    if not _is_integer(value, 1):
        raise ValueError(f"{layer}: expected {name} of at least 1, got {value!r}")
    return int(value)


def padding_2d(layer: str, value: Any) -> Rule | Margins:
    """Return the padding of images as a rule or as ((top, bottom), (left, right)).

    Raises:
        ValueError: it is neither a rule for images, nor an integer, nor a pair of integers, for the
            height and for the width, nor a pair of pairs.
    """
    if isinstance(value, str) and value in ("valid", "same"):
        return value  # type: ignore[return-value]
    both = value if isinstance(value, tuple | list) else (value, value)
    margins = [each if isinstance(each, tuple | list) else (each, each) for each in both]
    if len(margins) != 2 or not all(_is_margin(margin) for margin in margins):
        raise ValueError(
            f'{layer}: expected padding "valid", "same", an integer of 0 or more, a pair of such, for '
            f"the height and the width, or ((top, bottom), (left, right)), got {value!r}"
        )
    (top, bottom), (left, right) = margins
    return (int(top), int(bottom)), (int(left), int(right))


def padding_1d(layer: str, value: Any, causal: bool) -> Rule | Pair:
    """Return the padding of sequences as a rule or as (before, after).

    Raises:
        ValueError: it is neither a rule for sequences, nor an integer, nor a pair of integers.
    """
    rules: tuple[Rule, ...] = ("valid", "same", "causal") if causal else ("valid", "same")
    if isinstance(value, str) and value in rules:
        return value
    margin = value if isinstance(value, tuple | list) else (value, value)
    if not _is_margin(margin):
        names = ", ".join(f'"{rule}"' for rule in rules)
        raise ValueError(
            f"{layer}: expected padding {names}, an integer of 0 or more, or (before, after), "
            f"got {value!r}"
        )
    return int(margin[0]), int(margin[1])


def _is_margin(margin: Any) -> bool:
    return len(margin) == 2 and all(_is_integer(each, 0) for each in margin)


def _is_integer(value: Any, least: int) -> bool:
    return is_integer(value) and int(value) >= least


def check_images(layer: str, input_shape: Shape, geometry: Geometry) -> None:
    """Raise ValueError unless the shape, without the batch, is of images no smaller than a window."""
    if len(input_shape) != 3:
        hint = "; add an axis for the channel with x[..., None]" if len(input_shape) == 2 else ""
        raise ValueError(
            f"{layer}: expected images of shape (batch, height, width, channels), "
            f"got {('batch', *input_shape)}{hint}"
        )
    rows, columns = _least(geometry)
    if input_shape[0] < rows or input_shape[1] < columns or input_shape[2] < 1:
        raise ValueError(
            f"{layer}: expected images of at least {rows} x {columns}, the size of a window"
            f"{_without_padding(geometry)}, with at least one channel, got (height, width, channels) "
            f"{input_shape}; images with the channels first go through the layer ChannelsLast before"
        )


def check_sequences(layer: str, input_shape: Shape, geometry: Geometry) -> None:
    """Raise ValueError unless the shape, without the batch, is of sequences no shorter than a window."""
    if len(input_shape) != 2:
        hint = "; add an axis for the channel with x[..., None]" if len(input_shape) == 1 else ""
        raise ValueError(
            f"{layer}: expected sequences of shape (batch, length, channels), "
            f"got {('batch', *input_shape)}{hint}"
        )
    least = _least(geometry)[1]
    if input_shape[0] < least or input_shape[1] < 1:
        raise ValueError(
            f"{layer}: expected sequences of a length of at least {least}, the size of a window"
            f"{_without_padding(geometry)}, with at least one channel, got (length, channels) "
            f"{input_shape}"
        )


def _least(geometry: Geometry) -> Pair:
    """Return the height and width of the smallest images that have a window."""
    if isinstance(geometry.padding, str) and geometry.padding != "valid":
        return 1, 1
    padding = geometry.margins(geometry.extent)
    height, width = (max(e - sum(m), 1) for e, m in zip(geometry.extent, padding, strict=True))
    return height, width


def _without_padding(geometry: Geometry) -> str:
    return "" if isinstance(geometry.padding, str) else " without the padding"
