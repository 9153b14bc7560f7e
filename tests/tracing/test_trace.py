"""The format of traces: what is written is read back, and anything else is refused."""

import base64
import copy
import json
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backends import tree
from multinn import SGD, Dense, HalfSquaredError, Sequential, Sigmoid, Trace, TraceError, Trainer
from multinn.tracing.arrays import DTYPES, ArrayStore, read_array

X, Y = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[1.0], [0.0]])


def make_trace(steps: int = 2) -> Trace:
    model = Sequential([Dense(2), Sigmoid(), Dense(1)])
    trainer = Trainer(model, HalfSquaredError(), SGD(0.1), backend="numpy", dtype="float64")
    return trainer.trace(X, Y, steps=steps)


@given(st.data())
def test_arrays_are_read_back_to_the_bit(data):
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = data.draw(arrays.array_shapes(min_dims=0, min_side=0, max_side=12))
    array = data.draw(arrays.arrays(dtype, shape))
    store = ArrayStore()
    index = store.add(array)
    found = read_array(json.loads(json.dumps(store.entries, allow_nan=False))[index])
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()


def test_an_array_is_stored_once():
    store = ArrayStore()
    array = np.arange(3.0)
    assert store.add({"a": array, "b": (array.copy(), None)}) == {"a": 0, "b": [0, None]}
    assert store.add(array.astype(np.float32)) == 1


def test_an_array_of_strings_is_no_array_of_a_trace():
    with pytest.raises(TypeError, match="expected arrays of one of the dtypes float64"):
        ArrayStore().add(np.array(["a"]))


def test_a_saved_trace_is_read_back(tmp_path):
    found = make_trace()
    found.save(tmp_path / "trace.json")
    loaded = Trace.load(tmp_path / "trace.json")
    assert loaded.data == found.data
    assert loaded.losses == found.losses
    tree.map(np.testing.assert_array_equal, loaded.step(1)["layers"][1], found.step(1)["layers"][1])


def test_a_page_holds_the_trace(tmp_path):
    found = make_trace()
    found.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    packed = text.partition('id="trace">')[2].partition("</script>")[0]
    assert Trace.from_json(zlib.decompress(base64.b64decode(packed)).decode()).data == found.data


def test_another_ending_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"expected a path that ends in \.json or \.html"):
        make_trace().save(tmp_path / "trace.txt")
    assert not list(tmp_path.iterdir())


def test_the_text_of_a_trace_says_what_it_is():
    assert repr(make_trace(1)) == "<Trace of 1 step of Sequential, on numpy in float64>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the text of a trace, JSON:"),
        ("[1, 2", "expected the text of a trace, JSON:"),
        ("[" * 100_000, "expected the text of a trace, JSON:"),
        ("[]", "expected the data of a trace, a JSON object with"),
        ('{"format": "other"}', "expected the data of a trace, a JSON object with"),
        ('{"format": "multinn.trace", "version": 2}', "a later version of multinn may read it"),
        ('{"format": "multinn.trace", "version": 1}', "expected multinn, a str"),
        ('{"format": "multinn.trace", "version": NaN}', "expected numbers, got NaN"),
        ('{"format": "multinn.trace", "version": 1e999}', "in the range of float64, got 1e999"),
    ],
)
def test_another_text_is_no_trace(text, message):
    with pytest.raises(TraceError, match=message):
        Trace.from_json(text)


def test_a_binary_file_is_no_trace(tmp_path):
    (tmp_path / "trace.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TraceError, match=r"trace\.json: "):
        Trace.load(tmp_path / "trace.json")


def paths(value, path=()):
    """Yield the path of each value in a JSON tree."""
    yield path
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(child, (*path, key))


TRACE = make_trace().data
NUMERIC = [
    path
    for path in paths(TRACE)
    if len(path) > 1
    and path[0] in ("steps", "arrays")
    and not {"number", "value", "values", "base64"} & set(path[1:])
]


def changed(path: tuple[str | int, ...], value: Any) -> Any:
    """Return the data of a trace with another value at a path."""
    data = copy.deepcopy(TRACE)
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


@given(path=st.sampled_from(NUMERIC), value=st.sampled_from([-1, 10**9, "x", {"a": "b"}, 0.5, True]))
def test_damaged_steps_and_arrays_are_refused(path, value):
    with pytest.raises(TraceError):
        Trace.from_json(json.dumps(changed(path, value)))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            ("arrays", 0),
            {"shape": [0, 10**30], "dtype": "float64", "values": []},
            "the shape of an array",
        ),
        (("arrays", 0), {"shape": [9] * 99999, "dtype": "float64", "value": 1}, "at most 32 integers"),
        (("arrays", 0), {"shape": [2**28, 2], "dtype": "float64", "value": 1}, "at most 268,435,456"),
        (("arrays", 0), {"shape": [], "dtype": "float64", "value": 10**400}, "in the range of float64"),
        (("arrays", 0), {"shape": [], "dtype": "float32", "value": 1e300}, "in the range of float32"),
        (("arrays", 0), {"shape": [], "dtype": "uint8", "value": -1}, "in the range of uint8"),
        (("layers", 1, "class"), ["Dense"], "each with the name of its class"),
        (("layers", 1), None, "each with the name of its class"),
        (("steps",), [], "expected at least one step"),
        (("loss", "heads"), {"price": {}}, "a record of each loss in each step"),
        (("loss", "heads"), [], "a record of each loss in each step"),
        (("steps", 0, "loss", "heads"), {"price": 0}, "a record of each loss in each step"),
        (("steps", 0, "loss"), 0, "expected losses, each with the name of its class"),
    ],
)
def test_values_that_no_trace_holds_are_refused(path, value, message):
    with pytest.raises(TraceError, match=message):
        Trace.from_json(json.dumps(changed(path, value)))


@pytest.mark.parametrize("name", ["data", "losses", "dtaa"])
def test_a_trace_cannot_be_changed_by_halves(name):
    trace = make_trace()
    with pytest.raises(AttributeError, match=f"Trace: expected no change, got a new {name}; make a new"):
        setattr(trace, name, trace.data)
    assert copy.deepcopy(trace).losses == trace.losses


@pytest.mark.parametrize("index", [3, -4])
def test_a_step_that_is_not_there_is_named(index):
    with pytest.raises(IndexError, match=rf"step: expected an index below \d, got {index}"):
        make_trace().step(index)
