"""The claims about multinn's speed, and whether the measurements confirm them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from experiments.compare_backends.runs import Timing, ratio
from experiments.competitors import PEERS

TOLERANCE = 0.05
"""The relative tolerance of a bound: the noise of a good measurement."""

NUMPY, JAX, TORCH = "multinn numpy", "multinn jax", "multinn torch"
_FRAMEWORKS = ("torch", "torch fused", "torch.compile", "keras", "scikit-learn", "thinc")
_IN_A_SCAN = ("digits", "mnist", "large", "predict", "lstm", "gru", "transformer", "batch_norm")

Timings = Mapping[tuple[str, str], Timing]
"""Timings by workload and competitor."""


@dataclass(frozen=True)
class Claim:
    """A bound on the time of one of our backends, relative to rivals or in seconds.

    Attributes:
        ours: the name of the competitor.
        rivals: the names of the rivals; if there are none, the bound is in seconds.
        workloads: the jobs that the claim is about, each on its own.
        bound: the highest ratio to the fastest measured rival, or the highest number of seconds.
    """

    ours: str
    rivals: tuple[str, ...]
    workloads: tuple[str, ...]
    bound: float


CLAIMS = (
    Claim(JAX, ("jax.grad + optax",), _IN_A_SCAN, 1.0),
    Claim(JAX, ("jax.grad + optax",), ("xor",), 1.3),
    Claim(JAX, ("jax.grad + optax",), ("lenet",), 0.5),
    Claim(JAX, ("jax.grad stepwise",), ("lenet", "convolutions", "residual"), 1.0),
    Claim(JAX, _FRAMEWORKS, ("digits", "mnist", "large", "lenet"), 1.0),
    Claim(JAX, ("torch",), ("lstm", "gru", "transformer", "batch_norm"), 1.0),
    Claim(JAX, ("torch",), ("convolutions",), 2.5),
    Claim(JAX, ("torch",), ("residual",), 2.2),
    Claim(JAX, ("torch",), ("lenet",), 0.6),
    Claim(JAX, tuple(PEERS), ("predict",), 1.05),
    Claim(JAX, (), ("xor",), 0.005),
    Claim(NUMPY, ("numpy by hand",), ("xor", "digits", "mnist", "large", "lenet", "predict"), 0.5),
    Claim(NUMPY, ("scikit-learn",), ("digits", "mnist"), 0.5),
    Claim(NUMPY, ("torch",), ("xor", "digits", "mnist", "large", "lenet"), 0.8),
    Claim(NUMPY, ("torch",), ("convolutions", "residual"), 2.0),
    Claim(NUMPY, ("torch",), ("lstm",), 1.25),
    Claim(NUMPY, ("torch",), ("transformer",), 1.4),
    Claim(NUMPY, ("torch fused",), ("xor", "digits", "mnist", "large"), 0.8),
    Claim(NUMPY, ("torch fused",), ("lenet",), 1.0),
    Claim(NUMPY, tuple(PEERS), ("predict",), 1.05),
    Claim(TORCH, ("torch",), ("convolutions", "residual"), 1.15),
)


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim for one workload.

    Attributes:
        claim: the claim as text: job, competitor and rival.
        workload: the job.
        ours: the name of our competitor.
        rival: the fastest rival, or None.
        bound: the bound of the claim.
        measured: the median of the ratios of the rounds, or the median of the seconds.
        unit: "x" for a ratio, " s" for seconds.
        holds: whether the measurement is within the bound and its tolerance.
    """

    claim: str
    workload: str
    ours: str
    rival: str | None
    bound: float
    measured: float
    unit: str
    holds: bool


def judge(timings: Timings) -> list[Verdict]:
    """Return the verdicts on all claims whose competitors were measured."""
    return [verdict for claim in CLAIMS for verdict in _verdicts(claim, timings)]


def _verdicts(claim: Claim, timings: Timings) -> Iterator[Verdict]:
    for workload in claim.workloads:
        ours = timings.get((workload, claim.ours))
        if ours is None or ours.median is None:
            continue
        if not claim.rivals:
            yield _verdict(claim, workload, None, ours.median)
            continue
        ratios = {name: ratio(ours, timings.get((workload, name))) for name in claim.rivals}
        known = {name: value for name, value in ratios.items() if value is not None}
        if known:
            best = max(known, key=known.__getitem__)
            yield _verdict(claim, workload, best, known[best])


def _verdict(claim: Claim, workload: str, rival: str | None, measured: float) -> Verdict:
    against = "" if rival is None else f" to {rival}" + (", the best" if len(claim.rivals) > 1 else "")
    return Verdict(
        claim=f"{workload}: {claim.ours}{against}",
        workload=workload,
        ours=claim.ours,
        rival=rival,
        bound=claim.bound,
        measured=measured,
        unit=" s" if rival is None else "x",
        holds=measured <= claim.bound * (1.0 + TOLERANCE),
    )
