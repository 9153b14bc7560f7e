"""Each formula of the view, worked out in a browser from recorded numbers, gives the recorded result."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from backends import tree
from multinn.tracing import Trace, page
from multinn.tracing.arrays import ArrayStore, read_array
from tests.support.browser import quiet_page
from tests.support.formula_models import FORMULA_MODELS
from tests.support.several_models import SEVERAL, Several
from tests.support.traced_models import LAYER_MODELS, Traced
from tests.support.training_formula_models import (
    LOSS_CASES,
    OPTIMIZERS,
    RECURRENT_MODELS,
    trace_of_loss,
    trace_of_optimizer,
)

TOLERANCES = {"float64": 1e-12, "float32": 1e-5}
MODELS = LAYER_MODELS | FORMULA_MODELS | RECURRENT_MODELS


def of_model(found: Traced, dtype: str, steps: int = 2) -> Trace:
    return found.trainer(dtype=dtype).trace(found.x, found.y, steps=steps, leave_out=["code"])


def of_several(make: Callable[[str], Several], dtype: str) -> Trace:
    return make(dtype).trace(leave_out=["code"])


TRACES: dict[str, Callable[[str], Trace]] = {
    **{name: partial(of_model, found) for name, found in MODELS.items()},
    **{f"loss {name}": partial(trace_of_loss, name) for name in LOSS_CASES},
    **{name: partial(of_several, make) for name, make in SEVERAL.items()},
    **{f"update {name}": partial(trace_of_optimizer, name) for name in OPTIMIZERS},
}


@pytest.fixture(scope="module")
def errors_of(browser, tmp_path_factory):
    """A function that returns what `check` of the view finds in the browser for a trace."""
    file = tmp_path_factory.mktemp("formulas") / "check.html"
    check = "window.errorsOf = (data) => check(new Trace(data));"
    file.write_text(f"<script type=module>{page.script()}{check}</script>", encoding="utf-8")
    with quiet_page(browser, file.as_uri()) as opened:
        opened.wait_for_function("() => Boolean(window.errorsOf)")

        def errors(data: dict[str, Any]) -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = opened.evaluate("(data) => window.errorsOf(data)", data)
            return found

        yield errors


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", TRACES)
def test_every_result_has_a_formula_that_gives_the_recorded_numbers(errors_of, name, dtype):
    trace = TRACES[name](dtype)
    found = errors_of(trace.data)
    assert {each["step"] for each in found} == set(range(len(trace.losses)))
    assert [each for each in found if each["error"] is None] == []
    assert [each for each in found if not each["error"] <= TOLERANCES[dtype]] == []


def result_arrays(data: dict[str, Any]) -> set[int]:
    """Return the indices of the arrays that the layers and the loss of the first step computed."""
    step = data["steps"][0]
    shown = [
        layer
        for layer, part in zip(step["layers"], data["layers"], strict=True)
        if not part["sequential"]
    ]
    results = [layer[name] for layer in shown for name in ("dx", "gradients")]
    results += [layer["y"] for layer in shown] + [step["loss"]["values"], step["loss"]["dy"]]
    return {index for result in results for index in tree.leaves(result)}


@pytest.mark.parametrize("name", list(FORMULA_MODELS)[::2])
def test_a_changed_number_is_found(errors_of, name):
    trace = of_model(FORMULA_MODELS[name], "float64", steps=1)
    for index in sorted(result_arrays(trace.data))[::3]:  # a check of all formulas for each
        changed = read_array(trace.data["arrays"][index]).copy()
        if changed.dtype != bool and changed.size:
            changed.flat[0] += 1e-3
            store = ArrayStore()
            store.add(changed)
            arrays = list(trace.data["arrays"])
            arrays[index] = store.entries[0]
            errors = [each["error"] for each in errors_of(trace.data | {"arrays": arrays})]
            assert not all(error <= TOLERANCES["float64"] for error in errors), index
