"""The competitors: ways to do a workload's job. No optional library is imported here."""

from importlib import import_module
from importlib.util import find_spec

from experiments.competitors.base import Competitor, Run
from experiments.shared.errors import UsageError

__all__ = [
    "FLOOR",
    "PEERS",
    "Competitor",
    "Run",
    "backend_of",
    "load_competitor",
    "missing_modules",
    "multinn_name",
    "pip_line",
]

FLOOR = "floor"
"""The competitor that computes only the matrix products; the reference of all others."""

PEERS = {
    "numpy by hand": "experiments.competitors.numpy_by_hand:NumpyByHand",
    "jax.grad + optax": "experiments.competitors.jax_grad_optax:JaxGradOptax",
    "jax.grad stepwise": "experiments.competitors.jax_grad_optax:JaxGradStepwise",
    "torch": "experiments.competitors.torch_models:Torch",
    "torch fused": "experiments.competitors.torch_models:TorchFused",
    "torch.compile": "experiments.competitors.torch_models:TorchCompile",
    "keras": "experiments.competitors.keras_models:Keras",
    "scikit-learn": "experiments.competitors.scikit_learn:ScikitLearn",
    "thinc": "experiments.competitors.thinc_models:Thinc",
}
"""The classes of competitors other than multinn, by name."""

_OURS = "multinn "
_FLOOR_CLASS = "experiments.competitors.floor:Floor"
_DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def multinn_name(backend: str) -> str:
    """Return the name of multinn on a backend as a competitor.

    >>> multinn_name("jax:cpu")
    'multinn jax:cpu'
    """
    return f"{_OURS}{backend}"


def backend_of(name: str) -> str | None:
    """Return the name of the backend if the competitor is multinn, else None.

    >>> backend_of("multinn jax:cpu")
    'jax:cpu'
    """
    return name.removeprefix(_OURS) if name.startswith(_OURS) else None


def load_competitor(name: str) -> Competitor:
    """Return the competitor of that name.

    Args:
        name: multinn on a backend, such as "multinn numpy"; "floor"; one of `PEERS`; or ``module:Class``
            for your own class, derived from `Competitor`.

    Raises:
        UsageError: there is no such competitor.
    """
    backend = backend_of(name)
    if backend is not None:
        from experiments.competitors.framework import Framework

        return Framework(backend)
    place = _FLOOR_CLASS if name == FLOOR else PEERS.get(name, name)
    module, colon, attribute = place.partition(":")
    if not colon:
        known = ", ".join([f"'{_OURS}numpy'", *map(repr, [FLOOR, *PEERS])])
        raise UsageError(f"unknown competitor {name!r}, expected one of {known}, or module:Class")
    try:
        competitor = getattr(import_module(module), attribute)()
    except Exception as error:  # a third-party module may raise anything
        raise UsageError(f"competitor {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(competitor, Competitor):
        raise UsageError(
            f"competitor {name!r}: expected a class derived from Competitor, "
            f"got {type(competitor).__name__}"
        )
    return competitor


def missing_modules(competitor: Competitor) -> list[str]:
    """Return the modules that the competitor requires and that are not installed."""
    return [module for module in competitor.requires if find_spec(module) is None]


def pip_line(modules: list[str]) -> str:
    """Return the command that installs the modules.

    >>> pip_line(["sklearn", "torch", "torch"])
    'pip install scikit-learn torch'
    """
    return "pip install " + " ".join(dict.fromkeys(_DISTRIBUTIONS.get(name, name) for name in modules))
