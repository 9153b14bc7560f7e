"""Records of a run as text and as curves."""

import math

from multinn.descriptions.records import curves_of, table_of
from tests.support.markup import parse, texts

RECORDS = [{"epoch": 1, "loss": 0.5}, {"epoch": 20, "loss": 0.123456, "validation_loss": 1e-7}]


def test_a_table_has_a_column_for_each_name():
    assert table_of(RECORDS).splitlines() == [
        "epoch    loss  validation_loss",
        "    1     0.5                 ",
        "   20  0.1235            1e-07",
    ]


def test_the_middle_of_many_records_is_left_out():
    lines = table_of([{"epoch": epoch, "loss": 1 / epoch} for epoch in range(1, 20_001)]).splitlines()
    first = [line.split()[0] for line in lines]
    assert first == ["epoch", *"123456", "...", *(str(epoch) for epoch in range(19_995, 20_001))]


def test_twelve_records_are_all_shown():
    assert "..." not in table_of([{"epoch": epoch} for epoch in range(12)])


def test_columns_that_do_not_fit_follow_below_with_their_epochs():
    names = [f"metric_with_a_long_name_{index}" for index in range(6)]
    blocks = table_of([{"epoch": 7} | dict.fromkeys(names, 0.5)]).split("\n\n")
    assert [block.split()[0] for block in blocks] == ["epoch"] * 3
    assert [name for block in blocks for name in block.splitlines()[0].split()[1:]] == names
    assert max(len(line) for block in blocks for line in block.splitlines()) <= 80


def test_no_records_are_an_empty_table():
    assert table_of([]) == ""


def test_training_and_validation_share_a_chart():
    root = parse(curves_of([{"epoch": 1, "loss": 1, "validation_loss": 2, "accuracy": 0.5}]))
    assert [title.split(".")[0] for title in texts(root, "title")] == [
        "loss by epoch, 1 to 1",
        "accuracy by epoch, 1 to 1",
    ]
    assert "validation: first 2" in texts(root, "title")[0]


def test_a_metric_without_a_finite_value_has_no_chart():
    assert curves_of([{"epoch": 1, "r2": math.nan}]) == ""


def test_records_without_an_epoch_are_counted():
    assert texts(parse(curves_of([{"loss": 2}, {"loss": 1}])), "title")[0].startswith(
        "loss by epoch, 1 to 2"
    )
