"""Values compared with annotations, and what the message says to write instead."""

import inspect
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from multinn import (
    Adam,
    Dense,
    Layer,
    Loss,
    Optimizer,
    ReLU,
    Residual,
    Sequential,
    initializers,
    schedules,
)
from multinn.descriptions.types import check_type, checks_arguments, instead

SUCH_AS = "; write an instance, such as"


@pytest.mark.parametrize(
    ("value", "hint", "text"),
    [
        ("adam", Optimizer | None, f"{SUCH_AS} Adam()"),
        ("AdamW", Optimizer, f"{SUCH_AS} AdamW()"),
        ("mse", Loss, f"{SUCH_AS} MeanSquaredError()"),
        ("softmax_cross_entropy", Loss, f"{SUCH_AS} SoftmaxCrossEntropy()"),
        ("relu", Layer, f"{SUCH_AS} ReLU()"),
        ("dense_layer", Layer, f"{SUCH_AS} Dense(...)"),
        ("glorot_uniform", initializers.Initializer, f"{SUCH_AS} initializers.Glorot()"),
        ("cosine", float | schedules.Schedule, f"{SUCH_AS} schedules.CosineDecay(...)"),
        (Adam, Optimizer, "; write an instance, Adam()"),
        (Dense, Layer | None, "; write an instance, Dense(...)"),
        ([Dense(3), ReLU()], Layer, "; write Sequential([...])"),
        ((Dense(3),), Layer, "; write Sequential([...])"),
        (np.float32, str, "; write 'float32'"),
        (np.dtype("float64"), str, "; write 'float64'"),
        (jnp.float32, str, "; write 'float32'"),
        ("zzzz", Layer, ""),
        ("no", bool, ""),
        (Layer, str, ""),
        ([], Layer, ""),
        ([Dense(3), 3], Layer, ""),
        (Adam, Layer, ""),
    ],
    ids=repr,
)
def test_the_message_says_what_to_write(value, hint, text):
    assert instead(value, hint) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Residual("relu"), f"Residual: expected layer: Layer, got 'relu'{SUCH_AS} ReLU"),
        (lambda: Sequential([Dense(1), "relu"]), rf"layers\[1\]: Layer, got 'relu'{SUCH_AS} ReLU"),
        (lambda: Dense(1, weight_initializer="he"), f"got 'he'{SUCH_AS} initializers.He"),
        (lambda: Adam("cosine"), f"got 'cosine'{SUCH_AS} schedules.CosineDecay"),
    ],
)
def test_the_messages_of_hyperparameters_say_so_too(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@checks_arguments
def function(
    flag: bool, count: int = 1, *, rate: float = 0.5, other: Any = None, shape: tuple[int, ...] = ()
) -> str:
    """Return a text."""
    return f"{flag} {count} {rate}"


@pytest.mark.parametrize("flag", [True, np.True_, np.bool(False)])
def test_numpy_numbers_and_booleans_are_right(flag):
    assert function(flag, np.int64(2), rate=np.float32(0.25)) == f"{flag} 2 0.25"
    assert function(flag, rate=np.int8(3)) == f"{flag} 1 3"


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        (("no",), {}, "function: expected flag: True or False, got 'no'"),
        ((1,), {}, "function: expected flag: True or False, got 1"),
        ((True, 1.0), {}, "function: expected count: an integer, got 1.0"),
        ((True, True), {}, "function: expected count: an integer, got True"),
        ((True,), {"rate": "x"}, "function: expected rate: a number, got 'x'"),
        ((True,), {"rate": np.True_}, "function: expected rate: a number, got np.True_"),
        ((True,), {"count": None}, "function: expected count: an integer, got None"),
    ],
)
def test_an_argument_of_another_type_is_refused_by_its_name(arguments, keywords, message):
    with pytest.raises(TypeError, match=message):
        function(*arguments, **keywords)


def test_the_function_itself_checks_what_may_be_a_list_or_an_array():
    assert function(True, other=object(), shape=[3]) == "True 1 0.5"


def test_a_checked_function_keeps_its_signature_and_its_own_errors():
    assert [*inspect.signature(function).parameters] == ["flag", "count", "rate", "other", "shape"]
    assert function.__doc__ == "Return a text."
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'flag'"):
        function()
    with pytest.raises(TypeError, match="unexpected keyword argument 'flagg'"):
        function(flagg=True)


def test_a_constructor_is_named_by_the_class_of_the_instance():
    class Base:
        @checks_arguments
        def __init__(self, flag: bool) -> None: ...

    class Derived(Base): ...

    with pytest.raises(TypeError, match=r"^Derived: expected flag: True or False, got 3"):
        Derived(3)


@pytest.mark.parametrize("value", [1, 1.0, np.bool(True), True])
def test_an_entry_of_a_tuple_is_compared_too(value):
    if isinstance(value, int) and not isinstance(value, bool):
        check_type("f", "shape", (value,), tuple[int, ...])
    else:
        with pytest.raises(TypeError, match="f: expected shape: a tuple of integers, got"):
            check_type("f", "shape", (value,), tuple[int, ...])
