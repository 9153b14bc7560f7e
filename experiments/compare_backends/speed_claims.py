"""How fast multinn is to be, as data, and whether it was."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from experiments.compare_backends.runs import Timing, ratio

TOLERANCE = 0.05
"""By how much a bound may be missed, as a share of it: the noise of a good measurement."""

NUMPY, JAX = "multinn numpy", "multinn jax"
_FRAMEWORKS = ("torch", "torch fused", "torch.compile", "keras", "scikit-learn", "thinc")

Timings = Mapping[tuple[str, str], Timing]


@dataclass(frozen=True)
class Claim:
    """That one of ours takes at most so many times what each of some rivals takes.

    Attributes:
        ours: the name of the competitor.
        rivals: the names of the others; without any, the bound is in seconds.
        workloads: the jobs of which it is said, one by one.
        bound: the highest ratio to the best of the rivals that were measured, or the most seconds.
    """

    ours: str
    rivals: tuple[str, ...]
    workloads: tuple[str, ...]
    bound: float


CLAIMS = (
    Claim(JAX, ("jax.grad + optax",), ("digits", "mnist", "large", "predict"), 1.0),
    Claim(JAX, ("jax.grad + optax",), ("lenet",), 0.5),
    Claim(JAX, ("jax.grad stepwise",), ("lenet",), 1.0),
    Claim(JAX, _FRAMEWORKS, ("digits", "mnist", "large", "lenet"), 1.0),
    Claim(JAX, _FRAMEWORKS, ("predict",), 1.15),
    Claim(JAX, (), ("xor",), 0.005),
    Claim(NUMPY, ("numpy by hand",), ("xor",), 0.5),
    Claim(NUMPY, ("numpy by hand",), ("digits",), 0.8),
    Claim(NUMPY, ("numpy by hand",), ("mnist", "large", "lenet"), 1.1),
    Claim(NUMPY, ("scikit-learn",), ("digits", "mnist"), 0.5),
    Claim(NUMPY, ("torch",), ("xor", "digits", "mnist", "large"), 0.8),
    Claim(NUMPY, ("torch",), ("lenet",), 1.0),
    Claim(NUMPY, ("torch fused",), ("xor", "digits", "mnist", "large"), 0.8),
    Claim(NUMPY, ("torch fused",), ("lenet",), 1.0),
)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim at one workload.

    Attributes:
        claim: in words: who, against whom, and where.
        workload: the job.
        ours: who it is said of.
        rival: the best of the rivals, or None.
        bound: of the claim.
        measured: the median of the ratios of the rounds, or the median of the seconds.
        unit: "x" of a ratio, " s" of seconds.
        holds: whether the bound was kept, with the tolerance.
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
    """Return the verdicts on all claims whose competitors were measured.

    Args:
        timings: by workload and competitor.
    """
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
