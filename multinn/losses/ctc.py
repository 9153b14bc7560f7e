"""Connectionist temporal classification: labels of a sequence, without the times at which they occur."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree
from multinn import functional
from multinn.losses.base import Loss
from multinn.losses.targets import refuse

_PADDING = -1
_IMPOSSIBLE = -1e30  # a log-probability whose exponential is 0; -inf less -inf would be NaN


@dataclass(frozen=True)
class CTC(Loss):
    """l = -log P(labels), on logits z (batch, time, classes), one of the classes a blank.

    Targets are integer labels (batch, labels), each row padded with -1 at its end. All time steps count.

    A path is one class at each time, of probability Π_t p_t,k(t) with p = softmax(z). It stands for the
    labels that are left when repetitions are merged and then blanks dropped; P(labels) is the sum over
    all such paths. With the n labels in blanks, c = (blank, label 1, blank, ..., label n, blank) of
    2n + 1 states, these are the paths through c that start at one of its first two states, end at one of
    its last two, and at each time stay, go on by one, or by two: from one label to the next, if they
    differ. In logarithms, where s can be reached from the states s', and the states s'' from s,

        α_t(s) = log p_t,c(s) + log Σ_s' exp α_t-1(s')            all starts of paths that are at s at t
        β_t(s) = log Σ_s'' exp(β_t+1(s'') + log p_t+1,c(s''))     all their ends

    P = Σ_s exp(α_t(s) + β_t(s)) at any t, so γ_t(s) = exp(α_t(s) + β_t(s)) / P is the probability that
    a path is at s at the time t, given the labels: the softmax of α_t + β_t over s. As each path has one
    factor p_t,k for each t, ∂log P/∂log p_t,k = Σ_{s: c(s) = k} γ_t(s) =: g_t,k, and Σ_k g_t,k = 1. With
    ∂log p_t,k/∂z_t,j = δ_kj - p_t,j,

        ∂l/∂z_t,j = -Σ_k g_t,k (δ_kj - p_t,j) = p_t,j - g_t,j.

    After each time the largest α is subtracted from all, so that they keep their digits however long the
    sequence is; log P is the sum of what was subtracted and of what is left. β likewise.
    Source: A. Graves et al., Connectionist temporal classification, 2006, sections 3 and 4.

    Attributes:
        blank: the class of the blank.

    Raises:
        ValueError: blank is no integer of 0 or more.
    """

    output_activation = "softmax"
    blank: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.blank, Integral) or self.blank < 0:
            raise ValueError(f"CTC: expected a blank, an integer of 0 or more, got {self.blank!r}")

    def per_example(self, backend: Backend, outputs: Array, targets: Array) -> tuple[Array, Array]:
        """Return l, and p - g."""
        xp = backend.xp
        states = self._states(backend, targets)
        ids = _places(backend, states, outputs.shape)
        log_p = functional.log_softmax(backend, outputs)
        emitted = xp.take(xp.reshape(log_p, (-1,)), xp.reshape(ids, (-1,)))
        emitted = xp.permute_dims(xp.reshape(emitted, ids.shape), (1, 0, 2))  # (time, batch, states)
        jumps = self._jumps(backend, states, like=outputs)
        is_last = _is_last(backend, targets, states.shape[1])
        alpha, log_probability = _starts(backend, emitted, jumps, is_last)
        gamma = functional.softmax(backend, alpha + _ends(backend, emitted, jumps, is_last))
        gamma = xp.reshape(xp.permute_dims(gamma, (1, 0, 2)), (-1,))
        p = xp.exp(log_p)
        nothing = xp.reshape(xp.zeros_like(p), (-1,))
        g = backend.scatter_add(nothing, xp.reshape(ids, (-1,)), gamma)
        return -log_probability, p - xp.reshape(g, p.shape)

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check labels (examples, labels), padded with -1 at the end, that fit in the time there is.

        Labels need one time step each, and one more between two that are equal.
        """
        if len(output_shape) != 2:
            raise ValueError(
                "CTC: expected outputs of shape ('examples', time, classes), "
                f"got {('examples', *output_shape)}"
            )
        time, classes = output_shape
        if self.blank >= classes:
            raise ValueError(f"CTC: expected a blank below {classes}, the classes, got {self.blank}")
        if targets.ndim != 2 or targets.shape[1] == 0:
            raise ValueError(
                "CTC: expected targets of shape ('examples', labels), integer classes padded with "
                f"{_PADDING}, got {targets.shape}"
            )
        self._check_labels(targets, classes)
        is_label = targets != _PADDING
        behind_padding = is_label & ~np.logical_and.accumulate(is_label, axis=1)
        refuse("CTC", "padding at the end alone", targets, behind_padding, "g")
        repeated = is_label[:, 1:] & (targets[:, 1:] == targets[:, :-1])
        needed = is_label.sum(axis=1) + repeated.sum(axis=1)
        expected = f"labels that need at most {time} time steps, one each and one between two equal ones"
        refuse("CTC", expected, needed, needed > time)
        return targets.astype(np.int32)

    def _check_labels(self, targets: HostArray, classes: int) -> None:
        outside = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))
        wrong = (targets != _PADDING) & (outside | (targets == self.blank))
        expected = f"labels in 0..{classes - 1} other than the blank, {self.blank}, or {_PADDING}"
        refuse("CTC", expected, targets, wrong, "g")

    def _states(self, backend: Backend, targets: Array) -> Array:
        """Return c (batch, 2 labels + 1), where padding becomes blanks, behind the last state."""
        xp = backend.xp
        blanks = xp.full_like(targets, self.blank)
        labels = xp.where(targets == _PADDING, blanks, targets)
        pairs = xp.reshape(xp.stack((blanks, labels), axis=2), (targets.shape[0], -1))
        return xp.concat((pairs, blanks[:, :1]), axis=1)

    def _jumps(self, backend: Backend, states: Array, like: Array) -> Array:
        """Return (batch, states): 0 where a state is reached from the last but one, or impossible."""
        xp = backend.xp
        from_two = xp.concat((xp.full_like(states[:, :2], self.blank), states[:, :-2]), axis=1)
        possible = (states != self.blank) & (states != from_two)
        return _log_of(backend, possible, like)


def _places(backend: Backend, states: Array, shape: Shape) -> Array:
    """Return (batch, time, states) the places of each class of c in the flattened outputs."""
    xp = backend.xp
    batch, time, classes = shape
    first = xp.arange(0, batch * time * classes, classes, dtype=states.dtype)
    return xp.reshape(first, (batch, time, 1)) + states[:, None, :]


def _is_last(backend: Backend, targets: Array, states: int) -> Array:
    """Return (batch, states): whether a path may end there, at state 2n or 2n - 1 of n labels."""
    xp = backend.xp
    last = 2 * xp.sum(xp.astype(targets != _PADDING, targets.dtype), axis=1, keepdims=True)
    places = xp.arange(states, dtype=last.dtype)[None, :]
    return (places == last) | (places == last - 1)


def _starts(backend: Backend, emitted: Array, jumps: Array, is_last: Array) -> tuple[Array, Array]:
    """Return α (time, batch, states), less what was subtracted from it, and log P (batch,)."""
    xp = backend.xp

    def step(alpha: Tree, emitted: Tree) -> tuple[Tree, Tree]:
        one, two = _shifted(backend, alpha, 1), _shifted(backend, alpha, 2) + jumps
        alpha = xp.logaddexp(xp.logaddexp(alpha, one), two) + emitted
        largest = xp.max(alpha, axis=1, keepdims=True)
        return alpha - largest, (alpha - largest, largest[:, 0])

    # Before the first time, a path is at the first blank: from there it reaches the first two states.
    certain, impossible = xp.zeros_like(jumps[:, :1]), xp.full_like(jumps[:, 1:], _IMPOSSIBLE)
    before = xp.concat((certain, impossible), axis=1)
    last_alpha, (alpha, subtracted) = backend.scan(step, before, emitted)
    ending = xp.where(is_last, last_alpha, xp.full_like(last_alpha, _IMPOSSIBLE))
    return alpha, functional.logsumexp(backend, ending) + xp.sum(subtracted, axis=0)


def _ends(backend: Backend, emitted: Array, jumps: Array, is_last: Array) -> Array:
    """Return β (time, batch, states), less what was subtracted from it."""
    xp = backend.xp

    def step(beta: Tree, emitted: Tree) -> tuple[Tree, Tree]:
        later = beta + emitted
        one, two = _shifted(backend, later, -1), _shifted(backend, later + jumps, -2)
        earlier = xp.logaddexp(xp.logaddexp(later, one), two)
        return earlier - xp.max(earlier, axis=1, keepdims=True), beta

    _, beta = backend.scan(step, _log_of(backend, is_last, jumps), xp.flip(emitted, axis=0))
    return xp.flip(beta, axis=0)


def _shifted(backend: Backend, states: Array, places: int) -> Array:
    """Return (batch, states) moved to the right, or to the left if negative; impossible enters."""
    xp = backend.xp
    entering = xp.full_like(states[:, : abs(places)], _IMPOSSIBLE)
    if places > 0:
        return xp.concat((entering, states[:, :-places]), axis=1)
    return xp.concat((states[:, -places:], entering), axis=1)


def _log_of(backend: Backend, possible: Array, like: Array) -> Array:
    """Return 0 where possible, and elsewhere the logarithm of what is impossible."""
    xp = backend.xp
    return xp.astype(~possible, like.dtype) * _IMPOSSIBLE
