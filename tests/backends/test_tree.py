"""Trees: structure is kept, order is fixed, and different structures raise."""

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import tree


class Pair(NamedTuple):
    first: Any
    second: Any


NESTED = {"b": [1, 2], "W": (3, None, {"x": 4}), "pair": Pair(5, (6,)), "empty": {}, "none": None}

some_trees = st.recursive(
    st.integers() | st.none(),
    lambda children: (
        st.lists(children, max_size=3)
        | st.lists(children, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from("WbxyΓ"), children, max_size=3)
        | st.builds(Pair, children, children)
    ),
    max_leaves=12,
)


@given(some_trees)
def test_map_of_the_identity_gives_an_equal_tree_of_the_same_types(values):
    mapped = tree.map(lambda leaf: leaf, values)
    assert mapped == values
    assert kinds(mapped) == kinds(values)


@given(some_trees)
def test_map_applies_to_the_leaves_at_the_same_place(values):
    doubled = tree.map(lambda a, b: a + b, values, values)
    assert tree.leaves(doubled) == [2 * leaf for leaf in tree.leaves(values)]


@given(some_trees)
def test_paths_are_those_of_map_with_paths(values):
    paths = tree.map_with_paths(lambda path, _: path, values)
    assert tree.leaves(paths) == [path for path, _ in tree.leaves_with_paths(values)]


def test_leaves_of_a_dict_are_ordered_by_key():
    assert tree.leaves({"b": 1, "W": 2, "a": 3}) == [2, 3, 1]


def test_the_insertion_order_of_a_dict_does_not_matter():
    assert tree.map(lambda a, b: (a, b), {"a": 1, "b": 2}, {"b": 20, "a": 10}) == {
        "a": (1, 10),
        "b": (2, 20),
    }


def test_paths_name_keys_and_positions():
    assert dict(tree.leaves_with_paths(NESTED)) == {
        "W.0": 3,
        "W.2.x": 4,
        "b.0": 1,
        "b.1": 2,
        "pair.0": 5,
        "pair.1.0": 6,
    }


def test_a_named_tuple_keeps_its_type():
    mapped = tree.map(lambda leaf: leaf + 1, Pair(1, Pair(2, 3)))
    assert isinstance(mapped, Pair)
    assert mapped.second.first == 3


def test_a_single_leaf_is_a_tree():
    assert tree.map(lambda leaf: leaf + 1, 1) == 2
    assert tree.leaves_with_paths(1) == [("", 1)]


def test_none_is_a_tree_without_leaves():
    assert tree.map(lambda leaf: leaf + 1, None) is None
    assert tree.leaves(None) == []


@pytest.mark.parametrize(
    ("values", "other", "message"),
    [
        ({"a": 1}, {"b": 1}, r"expected a dict with keys \['a'\], got a dict with keys \['b'\]"),
        ({"a": 1}, {"a": 1, "b": 2}, "expected a dict"),
        ((1, 2), (1, 2, 3), "expected a tuple of length 2, got a tuple of length 3"),
        ((1, 2), [1, 2], "expected a tuple of length 2, got a list of length 2"),
        (Pair(1, 2), (1, 2), "expected a Pair"),
        ({"a": (1, 2)}, {"a": 1}, "expected a tuple of length 2, got a leaf of type int"),
        ({"a": 1}, {"a": {"b": 1}}, "trees differ"),
        ({"a": 1}, {"a": None}, "trees differ"),
        ({"a": None}, {"a": 1}, "trees differ"),
        (1, (1,), "trees differ"),
    ],
    ids=str,
)
def test_trees_of_another_structure_raise(values, other, message):
    with pytest.raises(ValueError, match=message):
        tree.map(lambda *leaves: leaves, values, other)


def kinds(values: Any) -> list[type]:
    """Return the types of all branches, in order."""
    if isinstance(values, dict):
        children = [values[key] for key in sorted(values)]
    elif isinstance(values, tuple | list):
        children = list(values)
    else:
        return []
    return [type(values), *(kind for child in children for kind in kinds(child))]
