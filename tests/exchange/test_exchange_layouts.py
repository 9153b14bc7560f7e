"""Weights whose order differs in PyTorch, as it has the channels first."""

import numpy as np
import pytest

from backends import get_backend, tree
from multinn import (
    LSTM,
    Add,
    BatchNorm,
    ChannelsLast,
    Columns,
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
    Select,
    Sequential,
    TransformerBlock,
)
from multinn.exchange import from_state_dict, to_state_dict
from tests.support.exchange_runs import assert_close, drawn

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
    "last", [LayerNorm(), Add([ReLU(), ReLU()]), Columns((0,))], ids=lambda layer: type(layer).__name__
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


class Heads(nn.ModuleDict):
    def forward(self, x):
        return {name: module(x) for name, module in self.items()}


class ImageAndNumbers(nn.Module):
    """The same as `IMAGE_AND_NUMBERS`, with the channels first; the names are those of the places."""

    def __init__(self):
        super().__init__()
        image = nn.Sequential(nn.Identity(), nn.Conv2d(4, 3, 2), nn.Flatten())
        self.parts = nn.Sequential(
            nn.ModuleList([nn.Identity(), image]),
            nn.Linear(62, 3),
            Heads({"price": nn.Linear(3, 1), "kind": nn.Linear(3, 2)}),
        )

    def forward(self, numbers, image):
        (_, convolution), joined, heads = self.parts
        return heads(joined(torch.cat([numbers, convolution(image)], -1)))


IMAGE_AND_NUMBERS = Sequential(
    [
        Concatenate([Select("numbers"), Sequential([Select("image"), Conv2D(3, 2), Flatten()])]),
        Dense(3),
        Parallel({"price": Dense(1), "kind": Dense(2)}),
    ]
)


def test_several_inputs_and_heads():
    x = {"numbers": np.ones((2, 2), np.float32) * [[1], [-2]], "image": IMAGES}
    x = {name: values.astype(np.float32) for name, values in x.items()}
    shape = {"numbers": (2,), "image": (6, 5, 4)}
    params, state = drawn(IMAGE_AND_NUMBERS, shape)
    state_dict = to_state_dict(IMAGE_AND_NUMBERS, params, state, shape)
    module = ImageAndNumbers()
    module.parts.load_state_dict(runs.tensors(state_dict))
    with torch.no_grad():
        y = module(torch.from_numpy(x["numbers"]), torch.from_numpy(channels_first(x["image"])))
    ours, _ = IMAGE_AND_NUMBERS.forward(get_backend("numpy:eager"), params, x)
    for name in ("price", "kind"):
        assert_close(ours[name], y[name].numpy())
    again, _ = from_state_dict(IMAGE_AND_NUMBERS, state_dict, shape)
    tree.map(np.testing.assert_array_equal, again, params)
    with pytest.raises(
        ValueError, match=r"2\.price\.slope of Dense, layer 2\.0: expected no such entry"
    ):
        from_state_dict(IMAGE_AND_NUMBERS, state_dict | {"2.price.slope": np.ones(1)}, shape)


def test_a_model_of_one_array_refuses_the_shapes_of_several():
    with pytest.raises(ValueError, match="Dense: expected one array, got a dict of arrays"):
        from_state_dict(Dense(1), {}, {"a": (2,)})
    with pytest.raises(ValueError, match="Flatten: expected one array, got a dict of arrays"):
        to_state_dict(Flatten(), {}, None, {"a": (2,)})
