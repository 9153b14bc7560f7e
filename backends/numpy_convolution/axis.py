"""Windows along one axis of images."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from backends.windows import Pair


@dataclass(frozen=True)
class Axis:
    """Place k of window w lies at entry ``start + stride w + dilation k`` of the axis.

    Attributes:
        start: where the first window begins; negative if it begins on the padding.
        stride: the distance between windows.
        dilation: the distance between places.
        size: the number of places.
        count: the number of windows.
        spread: entry p is entry p / spread of the images, or 0 if spread does not divide p.
    """

    start: int
    stride: int
    dilation: int
    size: int
    count: int
    spread: int = 1

    @classmethod
    def of(
        cls, length: int, size: int, stride: int, margin: Pair, dilation: int, spread: int = 1
    ) -> "Axis":
        """Return the windows on images of this length, with ``margin`` entries of padding."""
        padded = sum(margin) + ((length - 1) * spread + 1 if length else 0)
        count = max(0, (padded - dilation * (size - 1) - 1) // stride + 1)
        return cls(-margin[0], stride, dilation, size, count, spread)

    def reach(self, windows: int) -> int:
        """Return the entries from the beginning of a window to the end of the last of so many."""
        return (windows - 1) * self.stride + (self.size - 1) * self.dilation + 1

    def phases(self) -> "Iterator[Phase]":
        """Yield the windows without a spread that make up those with one.

        Window h meets the images at places k where spread divides start + stride h + dilation k. If it
        does for h and k, then also for h + period and for k + step, where spread divides
        stride · period and dilation · step.

        Yields:
            windows of this axis, the places in them that meet the images, and these places as windows on
            the images.
        """
        period = self.spread // math.gcd(self.spread, self.stride)
        step = self.spread // math.gcd(self.spread, self.dilation)
        for h in range(min(period, self.count)):
            entries = [self.start + self.stride * h + self.dilation * k for k in range(self.size)]
            first = next((k for k, entry in enumerate(entries) if entry % self.spread == 0), self.size)
            windows = Axis(
                start=entries[first] // self.spread if first < self.size else 0,
                stride=self.stride * period // self.spread,
                dilation=self.dilation * step // self.spread,
                size=len(range(first, self.size, step)),
                count=len(range(h, self.count, period)),
            )
            yield slice(h, None, period), slice(first, None, step), windows


Phase = tuple[slice, slice, Axis]
