"""A trainer as text, and as notebooks show it."""

from multinn import SGD, ClipByGlobalNorm, Dense, Sequential, Tanh, accuracy
from tests.support.markup import parse, rows, texts
from tests.support.own_parts import Doubled
from tests.support.small_runs import MODEL, X, Y, fit, make_trainer


def test_a_new_trainer_shows_its_parts():
    optimizer = ClipByGlobalNorm(SGD(0.5), 1.0)
    trainer = make_trainer(optimizer=optimizer, metrics={"accuracy": accuracy}, dtype="float64")
    assert repr(trainer).splitlines() == [
        "Trainer",
        "  model      Sequential(layers=(Dense(units=4), Tanh, Dropout(rate=0.3), Dense(…",
        "  loss       MeanSquaredError",
        "  optimizer  ClipByGlobalNorm(optimizer=SGD(learning_rate=0.5), max_norm=1.0)",
        "  metrics    accuracy",
        "  backend    numpy on cpu, float64",
        "  progress   epoch 0, step 0",
    ]


def test_a_trained_trainer_shows_its_parameters_and_the_last_metrics():
    trainer = fit(make_trainer(), 2, validation_data=(X, Y))
    lines = repr(trainer).splitlines()
    assert "  parameters 26" in lines
    assert "  progress   epoch 2, step 6" in lines
    assert lines[-1].startswith("  last       epoch 2  loss ")
    assert "validation_loss " in lines[-1]
    assert str(trainer) == repr(trainer)


def test_the_parameters_are_counted_on_every_backend(backend):
    assert "\n  parameters 26\n" in repr(fit(make_trainer(backend), 1))


def test_many_metrics_have_lines_of_their_own():
    metrics = {f"accuracy_{index}": accuracy for index in range(6)}
    trainer = make_trainer(model=Sequential([Dense(2), Tanh()]), metrics=metrics)
    lines = repr(fit(trainer, 1, validation_data=(X, Y))).splitlines()
    assert max(map(len, lines)) <= 80
    assert all(f"val_{name} " in "".join(lines) for name in metrics)


def test_a_notebook_shows_the_model_without_shapes_before_they_are_known():
    html = make_trainer()._repr_html_()
    assert ["loss", "MeanSquaredError"] in rows(html)
    assert ["1\xa0Tanh", "y = tanh(x)"] in rows(html)


def test_a_notebook_shows_the_shapes_and_the_last_metrics_after_training():
    html = fit(make_trainer(dtype="float64"), 2)._repr_html_()
    assert ["0\xa0Dense(units=4)", "(batch, 4)", "16", "y = x W + b, along the last axis"] in rows(html)
    assert texts(parse(html), "p") == ["parameters: 26 (208 bytes in float64)"]
    assert next(row for row in rows(html) if row[0] == "last")[1].startswith("epoch 2  loss ")


def test_names_of_metrics_are_escaped():
    html = fit(make_trainer(metrics={"<b>": accuracy}), 1)._repr_html_()
    assert ["metrics", "<b>"] in rows(html)


def test_showing_a_trainer_does_not_change_it():
    one, other = (fit(make_trainer(model=Sequential([*MODEL.layers, Doubled()])), 1) for _ in range(2))
    one._repr_html_()
    repr(one)
    assert fit(one, 1).history == fit(other, 1).history
