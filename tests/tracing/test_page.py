"""The page of a trace in a real browser, and what it is made of."""

import copy
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from multinn import (
    LSTM,
    SGD,
    Adam,
    AdamW,
    AMSGrad,
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool1D,
    HalfSquaredError,
    LayerNorm,
    Loss,
    MaxPool2D,
    MultiHeadAttention,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SoftmaxCrossEntropy,
    Trace,
    Trainer,
)
from multinn.layers.base import ParameterFree
from multinn.tracing import page, register_formulas
from multinn.tracing.record import LAYER_ENTRIES, OTHER_ENTRIES
from tests.support.browser import WIDTHS, overflowing, quiet_page
from tests.support.several_models import cross_attention, two_heads

TOLERANCES = {"float64": 1e-12, "float32": 1e-5}


def xor() -> Trace:
    model = Sequential([Dense(2), Sigmoid(), Dense(1), Sigmoid()])
    trainer = Trainer(model, HalfSquaredError(), SGD(0.5), backend="numpy", dtype="float64", seed=42)
    return trainer.trace([[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]], steps=3)


def digit() -> Trace:
    """Return a step of 784-128-10 on one image, of which about a fifth is not black."""
    pixels = np.random.default_rng(0).random((1, 784))
    model = Sequential([Dense(128), ReLU(), Dense(10)])
    trainer = Trainer(model, SoftmaxCrossEntropy(), SGD(0.1), backend="numpy")
    return trainer.trace(np.where(pixels > 0.8, pixels, 0.0), [3])


TRACES = {"xor": xor(), "784-128-10": digit()}
UNFOLD = "document.querySelectorAll('details').forEach((fold) => { fold.open = true; })"
FRAMES = {"xor": 30, "784-128-10": 8}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, trace in TRACES.items():
        trace.save(folder / f"{name}.html")
    return {name: (folder / f"{name}.html").as_uri() for name in TRACES}


def current(opened: Any) -> int:
    """Return the number of the frame that is shown."""
    return int(opened.locator("[aria-current]").get_attribute("data-frame"))


def errors_of(opened: Any, trace: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what `check` of the view finds in the page's browser."""
    script = page.script(trace) + "window.errorsOf = (data) => check(new Trace(data));"
    opened.add_script_tag(content=script, type="module")
    opened.wait_for_function("() => Boolean(window.errorsOf)")
    return opened.evaluate("(data) => window.errorsOf(data)", trace)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", TRACES)
def test_every_frame_is_shown_without_a_request_or_an_overflow(browser, addresses, name, width):
    with quiet_page(browser, addresses[name], width=width) as opened:
        opened.wait_for_selector("[aria-current]")
        for number in range(FRAMES[name]):
            assert current(opened) == number
            assert overflowing(opened) == []
            assert opened.locator(".mn-differs").count() == 0
            opened.keyboard.press("ArrowRight")
        assert current(opened) == FRAMES[name] - 1  # the last one stays


def images() -> Trace:
    """Return two steps of a convnet by Adam."""
    x = np.random.default_rng(0).random((4, 8, 8, 3))
    body = [Conv2D(20, 3), BatchNorm(), ReLU(), MaxPool2D(2), Dropout(0.5)]
    model = Sequential([*body, Flatten(), Dense(3)])
    trainer = Trainer(model, SoftmaxCrossEntropy(), Adam(0.01), backend="numpy")
    return trainer.trace(x, [0, 1, 2, 0], steps=2, batch_size=3)


def words(**options: Any) -> Trace:
    """Return a step of a network of words with a mask, branches, attention and an LSTM."""
    attention = Residual(Sequential([LayerNorm(), MultiHeadAttention(2)]))
    branches = Concatenate([LSTM(3), GlobalAveragePool1D()])
    model = Sequential([Embedding(9, 4, padding_id=0), attention, branches, Dense(2)])
    trainer = Trainer(model, SoftmaxCrossEntropy(), AdamW(0.01), backend="numpy")
    return trainer.trace([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]], [0, 1], **options)


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize(
    "trace",
    [
        images(),
        words(),
        words(leave_out=[*LAYER_ENTRIES, *OTHER_ENTRIES]),
        two_heads().trace(),
        cross_attention().trace(),
    ],
    ids=["images", "words", "all left out", "two heads", "cross-attention"],
)
def test_other_networks_are_shown_too(browser, tmp_path, trace, width):
    trace.save(tmp_path / "page.html")
    with quiet_page(browser, (tmp_path / "page.html").as_uri(), width=width) as opened:
        opened.wait_for_selector("[aria-current]")
        last = -1
        while current(opened) != last:
            last = current(opened)
            opened.evaluate(UNFOLD)
            assert overflowing(opened) == []
            assert opened.locator(".mn-differs").count() == 0
            opened.keyboard.press("ArrowRight")
        assert last >= len(trace.data["layers"])


def test_the_loss_of_each_output_has_a_frame_and_is_said_beside_the_sum(browser, tmp_path):
    trace = two_heads().trace()
    trace.save(tmp_path / "page.html")
    loss = trace.step(0)["loss"]
    price, kind = loss["heads"].values()
    with quiet_page(browser, (tmp_path / "page.html").as_uri()) as opened:
        heading = opened.get_by_role("heading", level=2)
        opened.get_by_role("button", name="the loss of price, MeanSquaredError").click()
        opened.locator('[data-name="l price"] td[data-place="3"]').click()
        note = opened.locator('.mn-formula[data-name="l price"] .mn-note').inner_text()
        assert note == f"recorded: {price['values'][3]}; the formula gives the same"
        assert opened.locator('[data-name="w price"] td[data-place]').count() == 6
        opened.get_by_role("button", name="Next →").click()
        assert heading.inner_text() == "Step 1 · the loss of kind · SoftmaxCrossEntropy"
        opened.get_by_role("button", name="Next →").click()
        assert heading.inner_text() == "Step 1 · the loss · Heads"
        text = "loss {:.4g} (price {:.4g}, kind {:.4g})"
        said = text.format(*(float(each["value"]) for each in (loss, price, kind)))
        assert opened.locator("header .mn-note").inner_text().startswith(said)
        assert opened.locator('[data-name="dy kind"] td[data-place]').count() == 18
        branches = opened.locator(".mn-branches > div > .mn-note")
        assert branches.all_inner_texts() == ["price", "kind"]


@pytest.mark.parametrize("name", TRACES)
def test_each_formula_gives_the_recorded_number_in_the_browser(browser, addresses, name):
    data = TRACES[name].data
    with quiet_page(browser, addresses[name]) as opened:
        found = errors_of(opened, data)
        assert max(each["error"] for each in found) < TOLERANCES[data["dtype"]]


def test_a_changed_number_is_found(browser, addresses):
    data = copy.deepcopy(TRACES["xor"].data)
    index = data["steps"][1]["layers"][1]["gradients"]["W"]
    data["arrays"][index]["values"][2] += 1e-6
    with quiet_page(browser, addresses["xor"]) as opened:
        wrong = [each for each in errors_of(opened, data) if each["error"] and each["error"] > 1e-12]
    assert {(each["step"], each["kind"]) for each in wrong} == {(1, "backward"), (1, "update")}


def test_keys_and_buttons_go_to_frames(browser, addresses):
    with quiet_page(browser, addresses["xor"]) as opened:
        opened.wait_for_selector("[aria-current]")
        for key, number in [
            ("ArrowRight", 1),
            ("PageDown", 10),
            ("Shift+ArrowRight", 20),
            ("ArrowLeft", 19),
            ("PageUp", 10),
            ("Shift+ArrowLeft", 0),
            ("End", 29),
            ("Home", 0),
        ]:
            opened.keyboard.press(key)
            assert current(opened) == number, key
        opened.get_by_role("button", name="backward, layer 3, Dense").click()
        assert (
            opened.get_by_role("heading", level=2).inner_text()
            == "Step 1 of 3 · backward · layer 3, Dense"
        )
        opened.get_by_role("button", name="Next step").click()
        assert current(opened) == 10


def test_the_chosen_entry_is_explained_with_its_numbers(browser, addresses):
    with quiet_page(browser, addresses["xor"]) as opened:
        opened.wait_for_selector("[aria-current]")
        table = opened.locator('[data-name="y"] table')
        table.locator("td[data-place]").nth(7).click()
        expected = TRACES["xor"].step(0)["layers"][1]["y"][3, 1]
        note = opened.locator('.mn-formula[data-name="y"] .mn-note')
        assert note.inner_text() == f"recorded: {expected}; the formula gives the same"
        opened.locator('[data-name="y"] .mn-planes').focus()
        opened.keyboard.press("ArrowUp")
        assert str(TRACES["xor"].step(0)["layers"][1]["y"][2, 1]) in note.inner_text()
        assert current(opened) == 0  # the arrow keys of an array do not change the frame


def test_the_page_follows_the_theme(browser, addresses):
    def background(opened: Any) -> str:
        opened.wait_for_selector("[aria-current]")
        return opened.evaluate("getComputedStyle(document.querySelector('main')).backgroundColor")

    with quiet_page(browser, addresses["xor"], color_scheme="dark") as opened:
        dark = background(opened)
        opened.evaluate("location.hash = 'light'")
        opened.wait_for_selector("[data-theme=light]")
        light = background(opened)
    assert dark != light
    with quiet_page(browser, addresses["xor"] + "#dark", color_scheme="light") as opened:
        assert background(opened) == dark


def test_another_example_is_chosen(browser, addresses):
    with quiet_page(browser, addresses["xor"]) as opened:
        opened.get_by_label("example").select_option("2")
        expected = TRACES["xor"].step(0)["layers"][1]["y"][2, 0]
        assert str(expected) in opened.locator(".mn-formula .mn-note").inner_text()


def test_the_formula_of_an_updated_parameter_is_shown_after_those_of_many_states(browser, tmp_path):
    trainer = Trainer(Dense(1), HalfSquaredError(), AMSGrad(), backend="numpy")
    trainer.trace([[1.0]], [[2.0]]).save(tmp_path / "page.html")
    with quiet_page(browser, (tmp_path / "page.html").as_uri()) as opened:
        opened.get_by_role("button", name="update").click()
        lines = opened.locator(".mn-formula > .mn-scroll > .mn-line:first-child")
        assert [line.strip()[0] for line in lines.all_text_contents()] == ["m", "s", "l", "θ"]


def test_a_picture_tells_its_numbers_in_words(browser, addresses):
    with quiet_page(browser, addresses["784-128-10"]) as opened:
        picture = opened.locator('[data-name="x"] canvas')
        assert picture.get_attribute("aria-label").startswith("x: smallest 0, largest 0.9")
        opened.locator('[data-name="x"] .mn-scroll').focus()
        opened.keyboard.press("ArrowRight")
        opened.keyboard.press("ArrowDown")
        assert opened.locator('[data-name="x"] [aria-live]').inner_text().startswith("x[0, 28] = 0")


def test_the_focus_stays_where_it_was(browser, addresses):
    focused = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    with quiet_page(browser, addresses["xor"]) as opened:
        opened.locator('[data-frame="1"]').click()
        opened.keyboard.press("PageDown")  # to another step, with other buttons
        assert opened.evaluate(focused) == "forward, layer 1, Dense"
        opened.locator('[data-name="x"] [tabindex]').focus()
        opened.keyboard.press("PageUp")
        assert opened.evaluate(focused) == "x, 4 \N{MULTIPLICATION SIGN} 2"
        opened.get_by_role("button", name="Last").press("Enter")
        assert opened.evaluate(focused) == "Last"
        opened.keyboard.press("ArrowLeft")
        assert current(opened) == 28


def test_a_click_on_a_layer_keeps_the_keys_in_the_view(browser, tmp_path):
    words().save(tmp_path / "page.html")
    with quiet_page(browser, (tmp_path / "page.html").as_uri()) as opened:
        opened.locator(".mn-boxes button", has_text="MultiHeadAttention").click()
        assert opened.evaluate("document.activeElement.title") == "MultiHeadAttention"


def test_frames_play_up_to_the_last_one(browser, addresses):
    opened = browser.new_page()
    opened.clock.install()
    opened.goto(addresses["xor"])
    opened.wait_for_selector("[aria-current]")
    opened.get_by_role("button", name="Play").click()
    opened.clock.run_for(3500)
    assert current(opened) == 3
    opened.get_by_role("button", name="Pause").click()
    opened.clock.run_for(5000)
    assert current(opened) == 3
    opened.get_by_role("button", name="Play").click()
    opened.clock.run_for(40_000)
    assert current(opened) == FRAMES["xor"] - 1
    assert opened.get_by_role("button", name="Play").count() == 1
    opened.close()


def test_the_same_frame_of_another_step_is_shown(browser, addresses):
    with quiet_page(browser, addresses["xor"]) as opened:
        opened.locator('[data-frame="6"]').click()
        opened.get_by_role("combobox", name="step").select_option(label="3")
        assert current(opened) == 26
        assert opened.get_by_role("heading", level=2).inner_text().startswith("Step 3 of 3 · backward")
        opened.keyboard.press("Home")
        assert opened.get_by_role("combobox", name="step").input_value() == "0"


def test_a_single_step_has_its_number_in_training(browser, tmp_path):
    trainer = Trainer(Sequential([Dense(1)]), HalfSquaredError(), SGD(0.1), backend="numpy")
    trainer.fit([[1.0]], [[1.0]], epochs=1011)
    trainer.trace([[1.0]], [[1.0]]).save(tmp_path / "page.html")
    with quiet_page(browser, (tmp_path / "page.html").as_uri()) as opened:
        heading = opened.get_by_role("heading", level=2)
        heading.wait_for()
        assert heading.inner_text() == "Step 1,012 · forward · layer 1, Dense"


def test_a_number_that_is_chosen_by_keys_is_said(browser, addresses):
    with quiet_page(browser, addresses["xor"]) as opened:
        opened.locator('[data-name="y"] [tabindex]').focus()
        opened.keyboard.press("ArrowDown")
        number = TRACES["xor"].step(0)["layers"][1]["y"][1, 0]
        said = opened.locator('[data-name="y"] [aria-live]').text_content()
        assert said == f"y[1, 0] = {number}"


def test_many_definitions_are_unfolded_when_asked_for(browser, tmp_path):
    words().save(tmp_path / "page.html")
    with quiet_page(browser, (tmp_path / "page.html").as_uri()) as opened:
        opened.locator(".mn-tape button", has_text="← MultiHeadAttention").click()
        fold = opened.locator(".mn-formula details").first
        assert fold.locator("math").count() == 0
        fold.locator("summary").click()
        fold.locator("math").first.wait_for()


@pytest.mark.filterwarnings("ignore:overflow")
def test_infinities_are_shown(browser, tmp_path):
    model = Sequential([Dense(2), Sigmoid(), Dense(1)])
    trainer = Trainer(model, HalfSquaredError(), SGD(1e38), backend="numpy")
    trainer.trace([[0, 1], [1, 1]], [[0], [1]], steps=3).save(tmp_path / "page.html")
    with quiet_page(browser, (tmp_path / "page.html").as_uri()) as opened:
        opened.wait_for_selector("[aria-current]")
        opened.locator('[data-frame="0"]').click()
        for _ in range(24):
            assert opened.locator(".mn-differs").count() == 0
            opened.keyboard.press("ArrowRight")
        assert "NaN" in opened.locator("#view").inner_text()


def test_inputs_targets_and_parameters_can_be_edited_if_somebody_listens(browser, tmp_path):
    data = TRACES["xor"].data
    listen = "window.edits = []; const onEdit = (edit) => window.edits.push(edit);"
    mount = f"mount(document.getElementById('view'), {json.dumps(data)}, {{ onEdit }});"
    file = tmp_path / "edit.html"
    file.write_text(
        f"<main id=view></main><script type=module>{page.script(data)}{listen}{mount}</script>"
    )
    with quiet_page(browser, file.as_uri()) as opened:
        for frame, name, cell, number in [(0, "x", 3, "0.5"), (0, "W", 1, "-2"), (4, "t", 2, "0.25")]:
            opened.locator(f'[data-frame="{frame}"]').click()
            opened.locator(f'[data-name="{name}"] td[data-place]').nth(cell).click()
            opened.locator(f'[data-name="{name}"] input').fill(number)
            opened.keyboard.press("Enter")
        edits = opened.evaluate("window.edits")
        opened.locator('[data-frame="1"]').click()  # what a layer has computed cannot be changed
        opened.locator('[data-name="x"] td[data-place]').nth(0).click()
        assert opened.locator('[data-name="x"] input').count() == 0
    assert edits == [
        {"kind": "x", "layer": 1, "path": "", "indices": [1, 1], "value": 0.5},
        {"kind": "params", "layer": 1, "path": "W", "indices": [0, 1], "value": -2},
        {"kind": "targets", "layer": None, "path": "", "indices": [2, 0], "value": 0.25},
    ]


@dataclass(frozen=True)
class OfBatch(Loss):
    """A loss without a loss of each example."""

    loss: Loss

    def per_example(self, backend, outputs, targets):
        raise NotImplementedError

    def __call__(self, backend, outputs, targets, weights=None):
        return self.loss(backend, outputs, targets, weights)


class Dense2(ParameterFree):
    """y = 2 x, with the name of another class, and with an array of the name of an entry of a step"""

    def forward(self, backend, params, x, key=None):
        return 2.0 * x, {"forward": x}

    def backward(self, backend, params, cache, dy):
        return 2.0 * dy, {}


Dense2.__name__ = "Dense"


@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (Sigmoid(), HalfSquaredError()),
        (Dense(2), OfBatch(HalfSquaredError())),
        (Dense2(), HalfSquaredError()),
    ],
    ids=["no parameters", "a loss of the batch", "the name of another class"],
)
def test_odd_networks_are_shown(browser, tmp_path, model, loss):
    trace = Trainer(model, loss, SGD(0.1), backend="numpy").trace([[1.0, 2.0]], [[0.0, 1.0]])
    trace.save(tmp_path / "page.html")
    with quiet_page(browser, (tmp_path / "page.html").as_uri()) as opened:
        opened.wait_for_selector("[aria-current]")
        for number in range(4):
            assert current(opened) == number
            assert opened.get_by_role("alert").count() == 0
            opened.keyboard.press("ArrowRight")


def test_a_damaged_trace_is_reported_on_the_page(browser, tmp_path):
    data = copy.deepcopy(TRACES["xor"].data)
    data["arrays"][0]["values"] = [1.0]
    file = tmp_path / "damaged.html"
    file.write_text(page.page(json.dumps(data)), encoding="utf-8")
    opened = browser.new_page()
    opened.goto(file.as_uri())
    text = opened.get_by_role("alert").inner_text()
    opened.close()
    assert text == "This trace is damaged and cannot be shown: expected 8 numbers, got 1"


def test_pages_are_small():
    assert len(page.page(TRACES["xor"].to_json())) < 60_000
    assert len(page.page(TRACES["784-128-10"].to_json())) < 2_000_000


def test_the_frame_of_a_notebook_runs_only_scripts():
    text = TRACES["xor"]._repr_html_()
    assert text.startswith('<iframe sandbox="allow-scripts" ')
    assert "&lt;script" in text


def test_own_formulas_are_on_the_page_of_their_class(monkeypatch):
    monkeypatch.setattr(page, "_own_formulas", {})
    register_formulas("formulas.Doubled = { y: ({ x }, ...at) => multiply(2, x(...at)) };\n")
    assert "formulas.Doubled" in page.script()
    assert "formulas.Doubled" not in page.script(TRACES["xor"].data)


def test_a_source_without_formulas_is_refused():
    with pytest.raises(ValueError, match=r'expected source: JavaScript with a line "formulas.NAME'):
        register_formulas("const x = 1;")
