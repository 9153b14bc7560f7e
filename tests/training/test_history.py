"""The history: a list of records that also gives its columns."""

import json
import sys

import matplotlib
import pandas
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


@pytest.fixture
def pyplot():
    """Matplotlib without a window; closes the figures."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_a_plot_has_the_training_and_the_validation_of_a_metric_in_one_panel(pyplot):
    records = [*RECORDS, {"epoch": 4, "loss": 0.125, "validation_loss": 0.5, "accuracy": 0.75}]
    loss, accuracy = History(records).plot()
    lines = {line.get_label(): line.get_xydata().tolist() for line in loss.get_lines()}
    assert lines == {"training": [[1, 0.5], [3, 0.25], [4, 0.125]], "validation": [[3, 0.75], [4, 0.5]]}
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training", "validation"]
    assert (loss.get_title(), accuracy.get_title(), accuracy.get_legend()) == ("loss", "accuracy", None)
    (point,) = accuracy.get_lines()  # a line of one point would not be seen
    assert (point.get_xydata().tolist(), point.get_marker()) == ([[4, 0.75]], "o")
    assert loss.figure is accuracy.figure


@pytest.mark.parametrize(
    ("losses", "scale"),
    [((1.0, 0.01), "log"), ((1.0, 0.02), "linear"), ((1.0, 0.0), "linear"), ((1.0, -9.0), "linear")],
)
def test_a_plot_of_a_wide_range_of_positive_values_is_logarithmic(losses, scale, pyplot):
    (axes,) = History([{"epoch": epoch, "loss": loss} for epoch, loss in enumerate(losses)]).plot()
    assert axes.get_yscale() == scale


def test_a_plot_needs_records():
    with pytest.raises(ValueError, match=r"expected a record with a finite number, got none: call fit"):
        History().plot()


def test_a_history_becomes_a_table_of_pandas():
    frame = History(RECORDS).to_pandas()
    expected = {"epoch": [1, 3], "loss": [0.5, 0.25], "validation_loss": [None, 0.75]}
    pandas.testing.assert_frame_equal(frame, pandas.DataFrame(expected))


@pytest.mark.parametrize(
    ("call", "module", "message"),
    [
        (History.plot, "matplotlib", r'History.plot needs Matplotlib .*: pip install "multinn\[plot\]"'),
        (History.to_pandas, "pandas", "History.to_pandas needs pandas .*: pip install pandas"),
    ],
)
def test_a_missing_library_is_named(call, module, message, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=message):
        call(History(RECORDS))
