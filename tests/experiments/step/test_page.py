"""The live page in a real browser."""

from typing import Any

import numpy as np
import pytest

from experiments.step.session import Session
from multinn import SGD, Dense, Poisson, ReLU, Sequential, SoftmaxCrossEntropy, Trainer
from tests.experiments.step.conftest import running
from tests.support.browser import WIDTHS, overflowing, quiet_page

KINDS = {"Step": "1 step", "Run 10": "11 steps", "Run 1,000": "1,011 steps"}


def status(page: Any) -> str:
    return page.locator("#status").inner_text()


def told(page: Any, text: str) -> None:
    """Wait for words on what was done."""
    page.locator("#status", has_text=text).wait_for()


def warned(page: Any, text: str) -> None:
    """Wait for words on what went wrong."""
    page.get_by_role("alert").filter(has_text=text).wait_for()


def press(page: Any, name: str) -> None:
    page.locator("#controls").get_by_role("button", name=name, exact=True).click()


def ready(page: Any) -> None:
    page.locator("#network:not(:empty)").wait_for()


def edit(page: Any, array: str, place: int, value: str) -> None:
    """Choose an entry of an array, and change it."""
    figure = page.locator(f'#view [data-name="{array}"]').last
    figure.locator(f'[data-place="{place}"]').click()
    figure.locator("input").fill(value)
    figure.get_by_role("button", name="Change").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_frame_is_shown_without_a_request_or_an_overflow(browser, server, width, scheme):
    with quiet_page(browser, server.url, width=width, color_scheme=scheme) as page:
        ready(page)
        press(page, "Run 10")
        told(page, "10 steps taken")
        for frame in page.locator("#view [data-frame]").all():
            frame.click()
            assert overflowing(page) == []


def test_the_network_trains(browser, server):
    session = server.session
    with quiet_page(browser, server.url) as page:
        ready(page)
        for name, taken in KINDS.items():
            press(page, name)
            told(page, f"{taken} taken")
        assert status(page) == f"1,011 steps taken, loss {session.next_step.losses[0]:.4g}"
        assert len(session.losses) == 1011
        assert page.get_by_role("heading", level=2).inner_text().startswith("Step 1,012 · forward")
        assert "1,011 steps" in page.locator("#losses svg").get_attribute("aria-label")
        outputs = [item.inner_text() for item in page.locator("#surface li").all()]
        assert [output.split("target ")[1] for output in outputs] == ["0", "1", "1", "0"]
        press(page, "Reset")
        told(page, "Back at the start.")
        assert "0 steps taken" in status(page)


def test_a_run_can_be_stopped(browser, server, monkeypatch):
    monkeypatch.setattr("experiments.step.session._SECONDS", 0.001)
    with quiet_page(browser, server.url) as page:
        ready(page)
        press(page, "Run 1,000")
        press(page, "Stop")
        page.locator("#stop:disabled").wait_for()
        assert 0 < len(server.session.losses) < 1000


def test_changes_are_those_of_the_session(browser, server):
    session = server.session
    with quiet_page(browser, server.url) as page:
        ready(page)
        edit(page, "x", 2, "0.25")
        told(page, "Changed.")
        assert session.x[1, 0] == 0.25
        edit(page, "W", 9, "1.5")
        page.locator('#view [data-name="W"] td[data-place="9"]', has_text="1.5").wait_for()
        assert session.trainer.params[0]["W"][1, 1] == 1.5
        page.locator("#view [data-frame]", has_text="loss").first.click()
        edit(page, "t", 3, "0.75")
        page.locator('#view [data-name="t"] td[data-place="3"]', has_text="0.75").wait_for()
        assert session.y[3, 0] == 0.75
        page.locator("#rate").fill("0.125")
        page.locator("#rate").press("Enter")
        told(page, "The learning rate is 0.125 from now on.")
        assert session.view()["learning_rate"] == 0.125


def test_an_error_is_shown_and_changes_nothing(browser, server):
    page = browser.new_page()
    page.goto(server.url)
    ready(page)
    page.locator("#view [data-frame]", has_text="loss").first.click()
    edit(page, "t", 3, "2")
    warned(page, "expected targets in [0, 1], got 2.0")
    assert page.locator('#view [data-name="t"] td[data-place="3"]').inner_text() == "0"
    page.close()


def test_a_step_to_infinity_is_explained(browser, server):
    with quiet_page(browser, server.url) as page:
        ready(page)
        page.locator("#rate").fill("1e38")
        press(page, "Set")
        told(page, "The learning rate is")
        press(page, "Run 10")
        warned(page, "is not taken: it leads to NaN or infinity")
        assert page.locator("#view [role=alert]").count() == 0
        assert np.isfinite(server.session.trainer.params[0]["W"]).all()


def test_the_end_of_the_program_is_told(browser, session):
    page = browser.new_page()
    with running(session) as server:
        page.goto(server.url)
        ready(page)
    press(page, "Step")
    warned(page, "The program does not answer.")
    page.close()


def test_the_keyboard_is_enough(browser, server):
    with quiet_page(browser, server.url) as page:
        ready(page)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        told(page, "1 step taken")
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        told(page, "11 steps taken")
        assert page.evaluate("document.activeElement.textContent") == "Run 10"


def test_images_are_shown(browser):
    x = np.random.default_rng(0).random((3, 784))
    trainer = Trainer(Sequential([Dense(16), ReLU(), Dense(10)]), SoftmaxCrossEntropy(), SGD(0.1))
    with running(Session(trainer, x, [0, 1, 2])) as server, quiet_page(browser, server.url) as page:
        ready(page)
        assert page.locator("#surface").is_hidden()
        assert page.locator('#view [data-name="x"] canvas').count() > 0
        press(page, "Step")
        told(page, "1 step taken")


def test_the_curve_shows_negative_losses(browser):
    session = Session(Trainer(Dense(1), Poisson(), SGD(0.01)), [[1.0], [2.0]], [[9.0], [9.0]])
    with running(session) as server, quiet_page(browser, server.url) as page:
        ready(page)
        press(page, "Run 10")
        told(page, "10 steps taken")
        assert session.next_step.losses[0] < 0
        assert page.locator("#losses .live-left", has_text="\N{MINUS SIGN}").count() > 0
        curve, plot = (page.locator(f"#losses {name}").bounding_box() for name in (".live-line", "svg"))
        assert plot["y"] < curve["y"] < curve["y"] + curve["height"] < plot["y"] + plot["height"]
