"""Charts: the places of points, gaps, logarithmic axes, and the chart in words."""

import math
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from multinn.descriptions.curves import chart
from tests.support.markup import parse, texts


def lines(root: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """Return the places of the points of each line."""
    return [
        [(float(x), float(y)) for x, y in (place.split(",") for place in line.attrib["points"].split())]
        for line in root.iter("polyline")
    ]


def draw(*ys: float) -> ElementTree.Element:
    return parse(chart("loss", "epoch", {"training": list(enumerate(ys, 1))}))


def test_equal_distances_are_drawn_equal():
    ((left, low), (middle, half), (right, high)) = lines(draw(1.0, 2.0, 3.0))[0]
    assert right - middle == pytest.approx(middle - left)
    assert low - half == pytest.approx(half - high, abs=0.1)
    assert low > high  # upwards in the picture


def test_a_wide_range_is_drawn_with_equal_ratios_at_equal_distances():
    root = draw(1.0, 0.1, 0.01, 0.001)
    heights = [y for _, y in lines(root)[0]]
    distances = [after - before for before, after in pairwise(heights)]
    assert distances == pytest.approx([distances[0]] * 3, abs=0.2)
    assert {"1", "0.1", "0.01", "0.001"} <= set(texts(root, "text"))


def test_a_range_with_zero_is_drawn_linearly():
    assert "0" in texts(draw(100.0, 0.0), "text")


def test_values_that_are_not_finite_interrupt_the_curve():
    assert [len(line) for line in lines(draw(1.0, 2.0, math.nan, 3.0, 4.0, 5.0, math.inf))] == [2, 3]


@pytest.mark.parametrize("ys", [(0.5,), (0.5, 0.5), (0.0, 0.0), (-1e-300, 1e300), (1e-310, 1.0)])
def test_any_values_are_drawn_within_the_picture(ys):
    root = draw(*ys)
    _, _, width, height = map(float, next(root.iter("svg")).attrib["viewBox"].split())
    places = [place for line in lines(root) for place in line]
    assert places
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)


def test_a_long_curve_keeps_its_ends_and_its_peaks():
    ys = [0.0] * 10_000
    ys[1234] = 1.0
    ((*places,),) = lines(draw(*ys))
    assert len(places) < 400
    assert min(y for _, y in places) < min(places[0][1], places[-1][1]) - 100
    assert places[-1][0] == max(x for x, _ in places)


def test_the_second_curve_is_dashed_and_both_are_named():
    points = [(1, 1.0), (2, 0.5)]
    root = parse(chart("loss", "epoch", {"training": points, "validation": points}))
    assert [line.get("stroke-dasharray") is not None for line in root.iter("polyline")] == [False, True]
    assert {"loss", "epoch", "training", "validation"} <= set(texts(root, "text"))


def test_one_curve_needs_no_legend():
    assert "training" not in texts(draw(1.0, 2.0), "text")


def test_the_picture_is_also_told_in_words():
    html = chart(
        "loss", "epoch", {"training": [(1, 0.5), (2, 0.25), (3, 0.3)], "validation": [(3, 2.0)]}
    )
    root = parse(html)
    assert next(root.iter("svg")).get("role") == "img"
    assert texts(root, "title") == [
        "loss by epoch, 1 to 3. training: first 0.5, last 0.3, lowest 0.25, highest 0.5. "
        "validation: first 2, last 2, lowest 2, highest 2."
    ]


def test_names_are_escaped_and_long_ones_shortened():
    name = "<b>" * 20
    root = parse(chart(name, "epoch", {"training": [(1, 1.0)]}))
    assert next(iter(texts(root, "title"))).startswith(name)
    assert name[:23] + "…" in texts(root, "text")


def test_the_labels_below_are_whole_epochs():
    labels = [text.text for text in draw(1.0, 2.0).iter("text") if text.get("text-anchor") == "middle"]
    assert labels == ["1", "2"]
