"""The history: a list of records that also gives its columns."""

import json

import pytest

from multinn import History
from tests.support.markup import parse, texts

RECORDS = [{"epoch": 1, "loss": 0.5}, {"epoch": 3, "loss": 0.25, "validation_loss": 0.75}]


def test_an_index_gives_a_record():
    assert History(RECORDS)[-1] == RECORDS[1]


def test_a_slice_gives_records():
    assert History(RECORDS)[1:] == RECORDS[1:]


def test_a_name_gives_a_column():
    assert History(RECORDS)["loss"] == [0.5, 0.25]


def test_a_column_leaves_out_the_records_that_lack_it():
    assert History(RECORDS)["validation_loss"] == [0.75]


def test_the_error_for_an_unknown_name_lists_the_names():
    with pytest.raises(KeyError, match=r"'accuracy' was not reported, only \['epoch', 'loss', 'val"):
        History(RECORDS)["accuracy"]


def test_the_columns_of_an_empty_history_are_unknown():
    with pytest.raises(KeyError, match="'loss' was not reported"):
        History()["loss"]


def test_a_history_is_a_list_of_plain_records():
    assert list(History(RECORDS)) == RECORDS
    assert json.loads(json.dumps(History(RECORDS))) == RECORDS


def test_a_history_copies_the_list_of_records():
    records = list(RECORDS)
    history = History(records)
    records.append({"epoch": 4})
    assert len(history) == 2


def test_print_shows_a_table():
    assert str(History(RECORDS)).splitlines() == [
        "History of 2 records",
        "epoch  loss  validation_loss",
        "    1   0.5                 ",
        "    3  0.25             0.75",
    ]


def test_ten_thousand_records_print_as_few_lines():
    text = repr(History([{"epoch": epoch, "loss": 0.5} for epoch in range(1, 10_001)]))
    assert len(text.splitlines()) == 15
    assert text.startswith("History of 10000 records\nepoch  loss\n    1   0.5\n")
    assert text.endswith("\n10000   0.5")


def test_how_a_run_ended_is_shown():
    history = History(RECORDS[:1])
    history.interrupted = True
    assert str(history).startswith("History of 1 record, interrupted\n")
    assert "interrupted" in texts(parse(history._repr_html_()), "p")[0]


def test_a_history_without_records_is_shown():
    assert str(History()) == "History of no records"
    assert texts(parse(History()._repr_html_()), "p")[0] == "History of no records"


def test_a_notebook_shows_curves_and_the_last_record():
    root = parse(History(RECORDS)._repr_html_())
    assert len(texts(root, "svg")) == 1
    assert texts(root, "p") == ["History of 2 records", "epoch 3  loss 0.25  validation_loss 0.75"]
