"""The history: a list of records that also gives its columns."""

import json

import pytest

from multinn import History

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
