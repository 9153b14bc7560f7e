"""Helpers for the tests of the exchange with PyTorch."""

import numpy as np
import torch

from multinn.exchange import from_state_dict, to_state_dict
from tests.support.exchange_runs import assert_close, drawn, output_of

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(3, 4)).astype(np.float32)
SEQUENCES = RNG.normal(size=(3, 5, 4)).astype(np.float32)
IMAGES = RNG.normal(size=(2, 6, 5, 4)).astype(np.float32)
IDS = RNG.integers(6, size=(3, 5)).astype(np.int32)


def run_module(module, x: np.ndarray) -> np.ndarray:
    """Return the output at inference; images, and sequences for convolution, have the channels first."""
    with torch.no_grad():
        y = module.eval()(torch.from_numpy(x))
    return (y[0] if isinstance(y, tuple) else y).numpy()


def channels_first(x: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def tensors(state_dict: dict) -> dict:
    return {name: torch.from_numpy(values.copy()) for name, values in state_dict.items()}


def shaken(module):
    """Return the module with weights that are neither zeros nor ones."""
    torch.manual_seed(0)
    with torch.no_grad():
        for values in module.state_dict().values():
            if values.is_floating_point():
                values.add_(0.1 + 0.3 * torch.rand_like(values))
    return module


def assert_both_ways(layer, module, x, forth=lambda x: x, back=lambda y: y) -> None:
    """Compare outputs with our weights in the module, then with the weights of another in ours.

    Args:
        layer: ours.
        module: PyTorch's.
        x: our inputs.
        forth: makes its inputs of ours.
        back: makes our outputs of its.
    """
    shape = x.shape[1:]
    params, state = drawn(layer, shape)
    module.load_state_dict(tensors(to_state_dict(layer, params, state, shape)))
    assert_close(output_of(layer, params, state, x), back(run_module(module, forth(x))))
    params, state = from_state_dict(layer, shaken(module).state_dict(), shape)
    assert_close(output_of(layer, params, state, x), back(run_module(module, forth(x))))
