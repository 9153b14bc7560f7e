"""Text in a limited width."""

import pytest

from multinn.host.text import figures, number

METRICS = {"loss": 0.2512, "accuracy": 0.9123, "validation_loss": 0.3123, "validation_accuracy": 0.9}
FULL = "loss 0.2512  accuracy 0.9123  validation_loss 0.3123  validation_accuracy 0.9"


@pytest.mark.parametrize("width", [None, len(FULL)])
def test_figures_that_fit_are_in_one_line_with_full_names(width):
    assert figures(METRICS, width) == FULL


def test_first_the_names_of_the_validation_are_shortened():
    expected = "loss 0.2512  accuracy 0.9123  val_loss 0.3123  val_accuracy 0.9"
    assert figures(METRICS, len(FULL) - 1) == expected
    assert figures(METRICS, len(expected)) == expected


def test_then_the_validation_has_a_line_of_its_own():
    assert figures(METRICS, 40).splitlines() == [
        "loss 0.2512  accuracy 0.9123",
        "val_loss 0.3123  val_accuracy 0.9",
    ]


@pytest.mark.parametrize("width", range(1, 80))
def test_no_figure_is_lost_or_broken(width):
    lines = figures(METRICS, width).splitlines()
    words = [text.replace("validation", "val") for line in lines for text in line.split("  ")]
    assert words == ["loss 0.2512", "accuracy 0.9123", "val_loss 0.3123", "val_accuracy 0.9"]
    assert max(map(len, lines)) <= max(width, len("val_loss 0.3123"), len("val_accuracy 0.9"))


def test_no_figures_are_no_text():
    assert figures({}, 20) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, "3"),
        (12345, "12345"),
        (12345.0, "12345"),
        (0.123456, "0.1235"),
        (1e-7, "1e-07"),
        (1e30, "1e+30"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_integers_are_whole_and_other_numbers_rounded(value, expected):
    assert number(value) == expected
