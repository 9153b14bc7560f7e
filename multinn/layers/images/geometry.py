"""The geometry of windows in convolution and pooling: size, stride, dilation and padding."""

from dataclasses import dataclass
from typing import Any, Literal, cast

from backends import Array, Shape
from backends.windows import Margins as Margins
from backends.windows import Pair as Pair
from backends.windows import count
from multinn.host.checks import is_integer
from multinn.layers.base import Layer, check_axes

Rule = Literal["valid", "same", "causal"]
Padding = Literal["valid", "same"] | int | Pair | Margins
Padding1D = Rule | int | Pair

_NONE = (0, 0)


@dataclass(frozen=True)
class Geometry:
    """The positions of windows on images; sequences are images of height 1.

    Along each axis, a window of size k and dilation d extends over e = d (k - 1) + 1 entries. Images of
    length n, with p entries of padding in total, have (n + p - e) // s + 1 windows at stride s. In ceil
    mode, one more window follows if entries are left over and it begins before the end of the image, not
    on the padding there. More padding is added after the image, up to the end of that window.

    Attributes:
        size: the number of places in a window, vertically and horizontally.
        stride: the distance between windows.
        dilation: the distance between the places in a window.
        padding: ((top, bottom), (left, right)), or a rule: "valid" is no padding; "same" gives
            ceil(n / s) windows, with half of the padding before and, if it is odd, one more entry
            after; "causal" is e - 1 entries before, so no window extends beyond its own position.
        ceil_mode: whether a last window may extend beyond the padding.
    """

    size: Pair
    stride: Pair
    dilation: Pair = (1, 1)
    padding: Rule | Margins = "valid"
    ceil_mode: bool = False

    @classmethod
    def of_sequences(
        cls, size: int, stride: int, dilation: int, padding: Padding1D, ceil_mode: bool = False
    ) -> "Geometry":
        """Return the geometry for sequences; the padding is (before, after) or a rule."""
        margins = padding if isinstance(padding, str) else (_NONE, cast(Pair, padding))
        return cls((1, size), (1, stride), (1, dilation), margins, ceil_mode)

    @property
    def extent(self) -> Pair:
        """The rows and columns over which a window extends."""
        down, across = (d * (k - 1) + 1 for k, d in zip(self.size, self.dilation, strict=True))
        return down, across

    def margins(self, shape: Shape) -> Margins:
        """Return the padding of images (height, width) as ((top, bottom), (left, right)).

        In ceil mode, it goes up to the end of the last windows.
        """
        margins = self.fixed_margins(shape)
        if not self.ceil_mode:
            return margins
        down, across = map(_extended, shape, margins, self.extent, self.stride)
        return down, across

    def fixed_margins(self, shape: Shape) -> Margins:
        """Return the padding without what ceil mode adds."""
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
        """Return the number of windows on images (height, width), as (rows, columns)."""
        return count(self.padded(shape), self.size, self.stride, self.dilation)

    def covers(self, shape: Shape) -> bool:
        """Return whether each window on images (height, width) covers part of them.

        No window begins after the image, so only those that begin before it can lie on the padding.
        """
        margins = [before for before, _ in self.margins(shape)]
        axes = zip(shape, self.count(shape), margins, self.size, self.stride, self.dilation, strict=True)
        return all(
            any(0 <= start + d * place < n for place in range(k))
            for n, count, before, k, s, d in axes
            for start in range(-before, 0, s)[:count]
        )


def height_and_width(x: Array) -> Pair:
    """Return the height and width of images (batch, height, width, channels), or of sequences."""
    return (1, x.shape[1]) if x.ndim == 3 else x.shape[1:3]


def _same(length: int, extent: int, stride: int) -> Pair:
    missing = max((-(-length // stride) - 1) * stride + extent - length, 0)
    return missing // 2, missing - missing // 2


def _extended(length: int, margin: Pair, extent: int, stride: int) -> Pair:
    """Return the padding of ceil mode along one axis.

    ⌈(n + p - e) / s⌉ + 1 windows cover all entries, and ⌈(n + p_before) / s⌉ begin before the end of the
    image.
    """
    before, after = margin
    beyond = length + before + after - extent
    count = min(-(-beyond // stride) + 1, -(-(length + before) // stride))
    return before, max(after, (count - 1) * stride + extent - length - before)


def normalize_pairs(layer: Any, *names: str, minimum: int = 1) -> None:
    """Replace these attributes, integers or pairs, by pairs (for the height, for the width).

    Raises:
        ValueError: a value is neither an integer of at least the minimum nor a pair of such integers.
    """
    for name in names:
        value = getattr(layer, name)
        both = value if isinstance(value, tuple | list) else (value, value)
        if len(both) != 2 or not all(is_integer(each, minimum) for each in both):
            raise ValueError(
                f"{type(layer).__name__}: expected {name} of at least {minimum}, one integer or a pair, "
                f"got {value!r}"
            )
        object.__setattr__(layer, name, (int(both[0]), int(both[1])))


def normalize_padding_2d(layer: Any) -> None:
    """Replace the padding of a layer for images by a rule or ((top, bottom), (left, right)).

    Raises:
        ValueError: the padding is not "valid", "same", an integer, a pair or a pair of pairs.
    """
    value = layer.padding
    if isinstance(value, str) and value in ("valid", "same"):
        return
    both = value if isinstance(value, tuple | list) else (value, value)
    margins = [each if isinstance(each, tuple | list) else (each, each) for each in both]
    if len(margins) != 2 or not all(_is_margin(margin) for margin in margins):
        raise ValueError(
            f'{type(layer).__name__}: expected padding "valid", "same", an integer of at least 0, '
            f"(vertical, horizontal), or ((top, bottom), (left, right)), got {value!r}"
        )
    (top, bottom), (left, right) = margins
    object.__setattr__(layer, "padding", ((int(top), int(bottom)), (int(left), int(right))))


def normalize_padding_1d(layer: Any, *rules: Rule) -> None:
    """Replace the padding of a layer for sequences by one of the rules or (before, after).

    Raises:
        ValueError: the padding is not one of the rules, an integer or a pair of integers.
    """
    value = layer.padding
    if isinstance(value, str) and value in rules:
        return
    margin = value if isinstance(value, tuple | list) else (value, value)
    if not _is_margin(margin):
        names = ", ".join(f'"{rule}"' for rule in rules)
        raise ValueError(
            f"{type(layer).__name__}: expected padding {names}, an integer of at least 0, or "
            f"(before, after), got {value!r}"
        )
    object.__setattr__(layer, "padding", (int(margin[0]), int(margin[1])))


def _is_margin(margin: Any) -> bool:
    return len(margin) == 2 and all(is_integer(each, 0) for each in margin)


def check_images(layer: Layer, input_shape: Shape, geometry: Geometry) -> None:
    """Raise ValueError unless images of this shape, without the batch, have at least one window."""
    check_axes(layer, input_shape, "images", "height", "width", "channels", minimum=0)
    rows, columns = _least(geometry)
    if input_shape[0] < rows or input_shape[1] < columns or input_shape[2] < 1:
        raise ValueError(
            f"{type(layer).__name__}: expected images of at least {rows} x {columns}, "
            f"{_described(geometry)}, with at least one channel, got (height, width, channels) "
            f"{input_shape}; if the channels come first, begin the model with ChannelsLast()"
        )


def check_sequences(layer: Layer, input_shape: Shape, geometry: Geometry) -> None:
    """Raise ValueError unless sequences of this shape, without the batch, have at least one window."""
    check_axes(layer, input_shape, "sequences", "length", "channels", minimum=0)
    least = _least(geometry)[1]
    if input_shape[0] < least or input_shape[1] < 1:
        raise ValueError(
            f"{type(layer).__name__}: expected sequences of a length of at least {least}, "
            f"{_described(geometry)}, with at least one channel, got (length, channels) {input_shape}"
        )


def _least(geometry: Geometry) -> Pair:
    """Return the height and width of the smallest images that have a window."""
    if isinstance(geometry.padding, str) and geometry.padding != "valid":
        return 1, 1
    padding = geometry.fixed_margins(geometry.extent)
    spare = [s - 1 if geometry.ceil_mode else 0 for s in geometry.stride]
    lengths = zip(geometry.extent, padding, spare, strict=True)
    height, width = (max(e - sum(m) - extra, 1) for e, m, extra in lengths)
    return height, width


def _described(geometry: Geometry) -> str:
    """Return what `_least` is, in words."""
    if geometry.ceil_mode:
        return "the least that has a window in ceil mode"
    without = "" if isinstance(geometry.padding, str) else " without the padding"
    return f"the size of a window{without}"
