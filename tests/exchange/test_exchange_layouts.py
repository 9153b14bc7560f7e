"""Weights whose order differs in PyTorch, as it has the channels first."""

import numpy as np
import pytest

from multinn import (
    LSTM,
    Add,
    BatchNorm,
    ChannelsLast,
    Concatenate,
    Conv1D,
    Conv2D,
    ConvTranspose1D,
    ConvTranspose2D,
    Dense,
    Embedding,
    Flatten,
    GlobalMaxPool1D,
    GroupNorm,
    Identity,
    LayerNorm,
    MaxPool2D,
    Parallel,
    PReLU,
    ReLU,
    Residual,
    RMSNorm,
    Sequential,
    TransformerBlock,
)
from multinn.exchange import to_state_dict
from tests.support.exchange_runs import drawn

torch = pytest.importorskip("torch")
runs = pytest.importorskip("tests.support.torch_exchange")
nn = torch.nn
SEQUENCES, IMAGES, IDS = runs.SEQUENCES, runs.IMAGES, runs.IDS
assert_both_ways, channels_first = runs.assert_both_ways, runs.channels_first


@pytest.mark.parametrize(
    ("layer", "module", "x"),
    [
        (Conv1D(6, 2, groups=2), nn.Conv1d(4, 6, 2, groups=2), SEQUENCES),
        (Conv2D(6, (2, 3), groups=2), nn.Conv2d(4, 6, (2, 3), groups=2), IMAGES),
        (ConvTranspose1D(6, 3, 2, groups=2), nn.ConvTranspose1d(4, 6, 3, 2, groups=2), SEQUENCES),
        (ConvTranspose2D(6, (2, 3), 2, groups=2), nn.ConvTranspose2d(4, 6, (2, 3), 2, groups=2), IMAGES),
        (GroupNorm(2), nn.GroupNorm(2, 4), IMAGES),
        (Sequential([Conv2D(3, 2), PReLU()]), nn.Sequential(nn.Conv2d(4, 3, 2), nn.PReLU(3)), IMAGES),
        (LayerNorm(axes=3), nn.LayerNorm((4, 6, 5)), IMAGES),
        (
            Sequential([Conv1D(3, 2), RMSNorm(axes=2)]),
            nn.Sequential(nn.Conv1d(4, 3, 2), nn.RMSNorm((3, 4), eps=1e-5)),
            SEQUENCES,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_channels_are_first(layer, module, x):
    assert_both_ways(layer, module, x, channels_first, lambda y: np.moveaxis(y, 1, -1))


@pytest.mark.parametrize(
    ("layer", "module", "x"),
    [
        (
            Sequential([Conv2D(3, 2), BatchNorm(), MaxPool2D(), Flatten(), ReLU(), Dense(2), Dense(3)]),
            nn.Sequential(
                nn.Conv2d(4, 3, 2),
                nn.BatchNorm2d(3),
                nn.MaxPool2d(2),
                nn.Flatten(),
                nn.ReLU(),
                nn.Linear(12, 2),
                nn.Linear(2, 3),
            ),
            IMAGES,
        ),
        (
            Sequential([Conv1D(3, 2), Flatten(), Dense(2)]),
            nn.Sequential(nn.Conv1d(4, 3, 2), nn.Flatten(), nn.Linear(12, 2)),
            SEQUENCES,
        ),
    ],
    ids=["images", "sequences"],
)
def test_images_that_are_flattened(layer, module, x):
    assert_both_ways(layer, module, x, channels_first)


class Sum(nn.ModuleList):
    def forward(self, x):
        return sum(module(x) for module in self)


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        (Residual(Conv1D(4, 3, padding=1)), Sum([nn.Identity(), nn.Conv1d(4, 4, 3, padding=1)])),
        (
            Add([Identity(), Conv1D(4, 3, padding=1)]),
            Sum([nn.Identity(), nn.Conv1d(4, 4, 3, padding=1)]),
        ),
        (
            Add([Conv1D(4, 3, padding=1), Identity()]),
            Sum([nn.Conv1d(4, 4, 3, padding=1), nn.Identity()]),
        ),
        (
            Residual(Sequential([Residual(Conv1D(4, 1)), ReLU()])),
            Sum([nn.Identity(), nn.Sequential(Sum([nn.Identity(), nn.Conv1d(4, 4, 1)]), nn.ReLU())]),
        ),
        (BatchNorm(), nn.BatchNorm1d(4)),
        (GroupNorm(2), nn.GroupNorm(2, 4)),
        (PReLU(), nn.PReLU(4)),
    ],
    ids=["residual", "identity-first", "identity-last", "nested", "BatchNorm", "GroupNorm", "PReLU"],
)
def test_flat_sequences_whose_channels_one_layer_needs_first(layer, module):
    module = nn.Sequential(module, nn.Flatten(), nn.Linear(20, 2))
    assert_both_ways(Sequential([layer, Flatten(), Dense(2)]), module, SEQUENCES, channels_first)


def test_flat_images_with_the_channels_first():
    module = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(120, 2))
    assert_both_ways(Sequential([ChannelsLast(), Flatten(), Dense(2)]), module, channels_first(IMAGES))


def test_flat_sequences_keep_their_order():
    module = nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), nn.Linear(15, 2))
    assert_both_ways(Sequential([Embedding(6, 3), Flatten(), Dense(2)]), module, IDS)


@pytest.mark.parametrize(
    "last",
    [
        LSTM(2, return_sequences=True),
        Residual(LSTM(3, return_sequences=True)),
        TransformerBlock(3, 1, 2),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_flat_sequences_after_convolution_and_recurrence_keep_their_order(last):
    model = Sequential([Conv1D(3, 2), last, Flatten(), Dense(2)])
    params, _ = drawn(model, (5, 4))
    state_dict = to_state_dict(model, params, None, (5, 4))
    np.testing.assert_array_equal(state_dict["3.weight"], params[3]["W"].T)


def test_a_normalization_over_other_axes_than_those_of_pytorch_is_refused():
    model = Sequential([Conv2D(2, 2), LayerNorm(axes=2)])
    params, _ = drawn(model, (4, 4, 1))
    with pytest.raises(ValueError, match=r"LayerNorm, layer 1: expected axes=3, .* got axes=2"):
        to_state_dict(model, params, None, (4, 4, 1))


@pytest.mark.parametrize(
    "last",
    [LayerNorm(), Add([ReLU(), ReLU()]), Parallel([ReLU()])],
    ids=lambda layer: type(layer).__name__,
)
def test_flat_images_need_a_dense_layer(last):
    model = Sequential([Conv2D(2, 2), Flatten(), last])
    params, _ = drawn(model, (4, 4, 1))
    with pytest.raises(ValueError, match=r"layer 2: expected Dense as the first layer .* after Flatten"):
        to_state_dict(model, params, None, (4, 4, 1))


def test_branches_of_two_layouts_have_no_order():
    branches = Concatenate([ReLU(), Conv1D(3, 1), LSTM(3, return_sequences=True)])
    model = Sequential([branches, Flatten(), Dense(2)])
    params, _ = drawn(model, (5, 4))
    with pytest.raises(
        ValueError, match=r"Concatenate, layer 0: expected branches .* got first and last; exch"
    ):
        to_state_dict(model, params, None, (5, 4))


def test_branches_without_time_have_no_layout():
    ends = Concatenate([Sequential([Conv1D(3, 1), GlobalMaxPool1D()]), LSTM(3)])
    model = Sequential([ends, Flatten(), Dense(2)])
    params, _ = drawn(model, (5, 4))
    state_dict = to_state_dict(model, params, None, (5, 4))
    np.testing.assert_array_equal(state_dict["2.weight"], params[2]["W"].T)
