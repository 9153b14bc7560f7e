"""Curves as SVG for notebooks: readable in light and dark, without colour, and as text."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from backends import HostArray
from multinn.host.text import shorten

_WIDTH, _HEIGHT = 350, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 328, 32, 172  # the edges of the plot
_STROKES = (
    'stroke="currentColor"',
    'stroke="#d95f02" stroke-dasharray="5 3"',  # an orange with contrast on white and on black
)
_MOST_POINTS = 300  # of a curve
_WIDE = 100.0  # the ratio of the largest to the smallest value from which on the axis is logarithmic

Points = Sequence[tuple[float, float]]


def has_wide_range(values: HostArray) -> bool:
    """Return whether a logarithmic axis suits the values: all are positive, and their ratio is large."""
    low, high = float(values.min()), float(values.max())
    return low > 0.0 and high / low >= _WIDE


def chart(title: str, x_name: str, curves: Mapping[str, Points]) -> str:
    """Return a chart of one or two curves; the second is dashed.

    Args:
        title: the name of the values.
        x_name: the name of the horizontal axis, which holds integers.
        curves: the points (x, y) of each curve by its name, in the order of x. The curve is interrupted
            where y is not finite. At least one y is finite.
    """
    arrays = {name: np.array(points, np.float64) for name, points in curves.items()}
    joined = np.concatenate(list(arrays.values()))
    x_axis = _linear_axis(joined[:, 0], _LEFT, _RIGHT, margin=0.0, smallest_step=1.0)
    y_axis = _axis_of_values(joined[np.isfinite(joined[:, 1]), 1])
    parts = [
        f"<title>{escape(_description(title, x_name, arrays))}</title>",
        f'<text x="4" y="14" font-weight="bold">{escape(shorten(title, 24))}</text>',
        *(_legend(list(arrays)) if len(arrays) > 1 else []),
        *_axes(x_axis, y_axis),
        f'<text x="{_RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{escape(x_name)}</text>',
    ]
    for points, stroke in zip(arrays.values(), _STROKES, strict=False):
        for segment in _segments(points):
            parts.append(_line(x_axis.place(segment[:, 0]), y_axis.place(segment[:, 1]), stroke))
    return (
        f'<svg role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" fill="currentColor" font-size="11" '
        f'style="width:{_WIDTH}px;max-width:100%;height:auto">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class _Axis:
    """A map from values to places, and the values with a label.

    Attributes:
        low: the value at the start.
        high: the value at the end.
        start: the place of ``low``.
        end: the place of ``high``.
        ticks: the values with a label.
        is_logarithmic: whether equal distances are equal ratios.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[float]
    is_logarithmic: bool = False

    def place(self, values: HostArray) -> HostArray:
        low, high = self.low, self.high
        if self.is_logarithmic:
            values, low, high = np.log(values), math.log(low), math.log(high)
        return self.start + (values - low) * ((self.end - self.start) / (high - low))


def _axis_of_values(values: HostArray) -> _Axis:
    """Return the vertical axis."""
    if not has_wide_range(values):
        return _linear_axis(values, _BOTTOM, _TOP, margin=0.05)
    low, high = float(values.min()), float(values.max())
    exponents = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    ticks = [10.0**exponent for exponent in exponents[:: math.ceil(len(exponents) / 5)]]
    return _Axis(low, high, _BOTTOM, _TOP, ticks, is_logarithmic=True)


def _linear_axis(
    values: HostArray, start: float, end: float, margin: float, smallest_step: float = 0.0
) -> _Axis:
    low, high = float(values.min()), float(values.max())
    spread = (high - low) * margin if high > low else 0.5 * (smallest_step or abs(high) or 1.0)
    low, high = low - spread, high + spread
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(power * factor for factor in (1, 2, 5, 10) if (high - low) / (power * factor) <= 5)
    step = max(step, smallest_step)
    ticks = [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return _Axis(low, high, start, end, ticks)


def _axes(x_axis: _Axis, y_axis: _Axis) -> list[str]:
    """Return the frame, the grid and the labels."""
    parts = [f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="currentColor"/>']
    for value, y in zip(y_axis.ticks, y_axis.place(np.array(y_axis.ticks)), strict=True):
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="currentColor" stroke-opacity="0.2"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
    for value, x in zip(x_axis.ticks, x_axis.place(np.array(x_axis.ticks)), strict=True):
        parts.append(f'<path d="M{x:.1f} {_BOTTOM}v4" stroke="currentColor"/>')
        parts.append(f'<text x="{x:.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    return parts


def _legend(names: Sequence[str]) -> list[str]:
    """Return the names of the curves beside samples of their lines, at the top right."""
    parts, x = [], float(_RIGHT)
    for name, stroke in reversed(list(zip(names, _STROKES, strict=True))):
        parts.append(f'<text x="{x:g}" y="14" text-anchor="end">{escape(name)}</text>')
        x -= 5.8 * len(name) + 4
        parts.append(f'<path d="M{x - 18:g} 10h18" stroke-width="1.6" {stroke}/>')
        x -= 30
    return parts


def _segments(points: HostArray) -> list[HostArray]:
    """Return the runs of points with finite y."""
    is_finite = np.isfinite(points[:, 1])
    runs = np.split(points, np.flatnonzero(~is_finite))  # each run but the first starts with the gap
    finite = [run[np.isfinite(run[:, 1])] for run in runs]
    return [_thinned(run) for run in finite if len(run)]


def _thinned(points: HostArray) -> HostArray:
    """Return the smallest and the largest y of each of some equal parts, and the two ends."""
    if len(points) <= _MOST_POINTS:
        return points
    kept = {0, len(points) - 1}
    for part in np.array_split(np.arange(len(points)), _MOST_POINTS // 2):
        y = points[part, 1]
        kept |= {int(part[np.argmin(y)]), int(part[np.argmax(y)])}
    return points[sorted(kept)]


def _line(x: HostArray, y: HostArray, stroke: str) -> str:
    """Return a curve; a single point becomes a dot, as round ends have a width."""
    places = " ".join(f"{each_x:.1f},{each_y:.1f}" for each_x, each_y in zip(x, y, strict=True))
    width = 1.6 if len(x) > 1 else 6
    first = places if len(x) > 1 else f"{places} {places}"
    return (
        f'<polyline points="{first}" fill="none" stroke-width="{width}" stroke-linecap="round" '
        f'stroke-linejoin="round" {stroke}/>'
    )


def _description(title: str, x_name: str, curves: Mapping[str, HostArray]) -> str:
    """Return the chart in words."""
    sentences = []
    for name, points in curves.items():
        y = points[np.isfinite(points[:, 1]), 1]
        if len(y):
            figures = f"first {y[0]:.4g}, last {y[-1]:.4g}, lowest {y.min():.4g}, highest {y.max():.4g}"
            sentences.append(f" {name}: {figures}." if len(curves) > 1 else f" {figures.capitalize()}.")
    x = np.concatenate([points[:, 0] for points in curves.values()])
    return f"{title} by {x_name}, {x.min():g} to {x.max():g}.{''.join(sentences)}"
