"""Connectionist temporal classification: labels of a sequence, whose times are not known."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backends import Array, Backend, HostArray, Shape, Tree, tree
from multinn import functional
from multinn.descriptions.bounds import check_integers
from multinn.layers.base import Masked, mask_of, values_of
from multinn.layers.masked import expand_mask, zero_padding
from multinn.losses.base import Loss, check_several, check_values

_PADDING = -1
_IMPOSSIBLE = -1e30  # a log-probability whose exponential is 0; -inf - (-inf) would be NaN


@dataclass(frozen=True)
class CTC(Loss):
    """l = -log P(labels), on logits z (batch, time, classes), where one of the classes is a blank.

    Targets are integer labels (batch, labels), each row padded with -1 at its end; a row may have no
    label. If the outputs of the model have a mask (batch, time), as after `Masking`, l is the loss of
    the steps that count: the others are left out, wherever they are, and have the gradient 0.

    A path has one class k(t) at each time t, and the probability Π_t p_t,k(t) with p = softmax(z). Its
    labels result from merging repeated classes and then removing blanks; P(labels) is the sum over all
    paths with these labels. Let c = (blank, label 1, blank, ..., label n, blank), a sequence of 2n + 1
    states. The paths with these labels are the paths through c that start at one of its first two
    states, end at one of its last two, and at each time stay, move on by one state or, from a label to
    a different one, by two. In logarithms, where s can be reached from s', and s'' from s,

        α_t(s) = log p_t,c(s) + log Σ_s' exp α_t-1(s')            paths up to t that are at s at t
        β_t(s) = log Σ_s'' exp(β_t+1(s'') + log p_t+1,c(s''))     their continuations after t

    P = Σ_s exp(α_t(s) + β_t(s)) at any t, so γ_t(s) = exp(α_t(s) + β_t(s)) / P, the softmax of α_t + β_t
    over s, is the probability that a path with these labels is at s at time t. As each path has one
    factor p_t,k for each t, ∂log P/∂log p_t,k = Σ_{s: c(s) = k} γ_t(s) =: g_t,k, and Σ_k g_t,k = 1. With
    ∂log p_t,k/∂z_t,j = δ_kj - p_t,j,

        ∂l/∂z_t,j = -Σ_k g_t,k (δ_kj - p_t,j) = p_t,j - g_t,j.

    A step t that is left out leaves all paths where they are: α_t = α_t-1 and β_t-1 = β_t.

    At each time, the largest α_t is subtracted from all α_t, so that they keep their digits in sequences
    of any length; log P is the sum of the subtracted numbers and log Σ exp of the last α at the end
    states. The same is done with β. l is ∞ if there is no path: if logits of -∞ leave none, or if the
    steps that count are too few for the labels, which only the model knows.
    Source: A. Graves et al., Connectionist temporal classification, 2006, sections 3 and 4.

    Attributes:
        blank: the class of the blank.

    Raises:
        ValueError: blank is not an integer of 0 or more.
    """

    output_activation = "softmax"
    takes_mask: ClassVar[bool] = True
    blank: int = 0

    def __post_init__(self) -> None:
        check_integers(self, "blank", minimum=0)

    def per_example(
        self, backend: Backend, outputs: Array | Masked, targets: Array
    ) -> tuple[Array, Array]:
        """Return l, and p - g where a step counts, else 0."""
        xp = backend.xp
        logits, mask = values_of(outputs), expand_mask(backend, mask_of(outputs), 3)
        states = self._states(backend, targets)
        ids = _flat_indices(backend, states, logits.shape)
        p, shifted, log_total = functional.softmax_parts(backend, logits)
        emitted = xp.take(xp.reshape(shifted - log_total, (-1,)), xp.reshape(ids, (-1,)))
        emitted = xp.maximum(emitted, _IMPOSSIBLE)
        emitted = xp.permute_dims(xp.reshape(emitted, ids.shape), (1, 0, 2))  # (time, batch, states)
        counts = None if mask is None else xp.permute_dims(mask, (1, 0, 2))
        jumps = self._jumps(backend, states, like=logits)
        is_last = _is_last(backend, targets, states.shape[1])
        alpha, log_probability = _forward(backend, emitted, counts, jumps, is_last)
        beta = _backward(backend, emitted, counts, jumps, is_last)
        gamma = functional.softmax(backend, alpha + beta)
        gamma = xp.reshape(xp.permute_dims(gamma, (1, 0, 2)), (-1,))
        nothing = xp.reshape(xp.zeros_like(p), (-1,))
        g = backend.scatter_add(nothing, xp.reshape(ids, (-1,)), gamma)
        return -log_probability, zero_padding(backend, p - xp.reshape(g, p.shape), mask)

    def prepare_targets(self, targets: HostArray, output_shape: Shape, dtype: str) -> HostArray:
        """Check labels (examples, labels), padded with -1 at the end, that fit into the time steps.

        Each label needs one time step, and two equal labels in a row need one more between them.
        """
        if len(output_shape) != 2:
            raise ValueError(
                "CTC: expected outputs of shape ('examples', time, classes), "
                f"got {('examples', *output_shape)}"
            )
        check_several("CTC", output_shape, "a loss without a blank")
        time, classes = output_shape
        if self.blank >= classes:
            raise ValueError(
                f"CTC: expected a blank below {classes}, the number of classes, got {self.blank}"
            )
        if targets.ndim != 2 or targets.shape[1] == 0:
            raise ValueError(
                "CTC: expected targets of shape ('examples', labels), integer classes padded with "
                f"{_PADDING}, got {targets.shape}"
            )
        self._check_labels(targets, classes)
        is_label = targets != _PADDING
        behind_padding = is_label & ~np.logical_and.accumulate(is_label, axis=1)
        check_values("CTC", "padding only at the end", targets, behind_padding, "g")
        repeated = is_label[:, 1:] & (targets[:, 1:] == targets[:, :-1])
        needed = is_label.sum(axis=1) + repeated.sum(axis=1)
        expected = f"labels that need at most {time} time steps, one each and one between two equal ones"
        check_values("CTC", expected, needed, needed > time)
        return targets.astype(np.int32)

    def _check_labels(self, targets: HostArray, classes: int) -> None:
        outside = (targets < 0) | (targets >= classes) | (targets != np.floor(targets))
        wrong = (targets != _PADDING) & (outside | (targets == self.blank))
        expected = f"labels in 0..{classes - 1} other than the blank, {self.blank}, or {_PADDING}"
        check_values("CTC", expected, targets, wrong, "g")

    def _states(self, backend: Backend, targets: Array) -> Array:
        """Return c (batch, 2 labels + 1); padding becomes blanks after its last state."""
        xp = backend.xp
        blanks = xp.full_like(targets, self.blank)
        labels = xp.where(targets == _PADDING, blanks, targets)
        pairs = xp.reshape(xp.stack((blanks, labels), axis=2), (targets.shape[0], -1))
        return xp.concat((pairs, blanks[:, :1]), axis=1)

    def _jumps(self, backend: Backend, states: Array, like: Array) -> Array:
        """Return (batch, states): 0 where a state can be reached from two states before, else -1e30."""
        xp = backend.xp
        from_two = xp.concat((xp.full_like(states[:, :2], self.blank), states[:, :-2]), axis=1)
        possible = (states != self.blank) & (states != from_two)
        return _log_of(backend, possible, like)


def _flat_indices(backend: Backend, states: Array, shape: Shape) -> Array:
    """Return the indices of each class of c in the flattened outputs, (batch, time, states)."""
    xp = backend.xp
    batch, time, classes = shape
    first = xp.arange(0, batch * time * classes, classes, dtype=states.dtype)
    return xp.reshape(first, (batch, time, 1)) + states[:, None, :]


def _is_last(backend: Backend, targets: Array, states: int) -> Array:
    """Return (batch, states): whether a path may end at the state, 2n or 2n - 1 for n labels."""
    xp = backend.xp
    last = 2 * xp.sum(xp.astype(targets != _PADDING, targets.dtype), axis=1, keepdims=True)
    places = xp.arange(states, dtype=last.dtype)[None, :]
    return (places == last) | (places == last - 1)


def _forward(
    backend: Backend, emitted: Array, counts: Array | None, jumps: Array, is_last: Array
) -> tuple[Array, Array]:
    """Return α (time, batch, states) after the subtractions, and log P (batch,).

    Args:
        backend: the backend of all arrays.
        emitted: log p of the class of each state, (time, batch, states).
        counts: (time, batch, 1), the steps that count, or None if all do.
        jumps: as `CTC._jumps` returns it.
        is_last: as `_is_last` returns it.
    """
    xp = backend.xp

    def step(before: Tree, emitted_and_counts: Tree) -> tuple[Tree, Tree]:
        emitted, counts = emitted_and_counts
        one, two = _shifted(backend, before, 1), _shifted(backend, before, 2) + jumps
        alpha = xp.logaddexp(xp.logaddexp(before, one), two) + emitted
        alpha = alpha if counts is None else xp.where(counts, alpha, before)
        largest = xp.max(alpha, axis=1, keepdims=True)
        return alpha - largest, (alpha - largest, largest[:, 0])

    # Before the first time step, each path is at the first blank, from where it reaches two states.
    certain, impossible = xp.zeros_like(jumps[:, :1]), xp.full_like(jumps[:, 1:], _IMPOSSIBLE)
    before = xp.concat((certain, impossible), axis=1)
    last_alpha, (alpha, subtracted) = backend.scan(step, before, (emitted, counts))
    ending = xp.where(is_last, last_alpha, xp.full_like(last_alpha, _IMPOSSIBLE))
    log_p = functional.logsumexp(backend, ending) + xp.sum(subtracted, axis=0)
    return alpha, xp.where(log_p > 0.5 * _IMPOSSIBLE, log_p, xp.full_like(log_p, -math.inf))


def _backward(
    backend: Backend, emitted: Array, counts: Array | None, jumps: Array, is_last: Array
) -> Array:
    """Return β (time, batch, states) after the subtractions; the arguments are those of `_forward`."""
    xp = backend.xp

    def step(beta: Tree, emitted_and_counts: Tree) -> tuple[Tree, Tree]:
        emitted, counts = emitted_and_counts
        later = beta + emitted
        one, two = _shifted(backend, later, -1), _shifted(backend, later + jumps, -2)
        earlier = xp.logaddexp(xp.logaddexp(later, one), two)
        earlier = earlier if counts is None else xp.where(counts, earlier, beta)
        return earlier - xp.max(earlier, axis=1, keepdims=True), beta

    reversed_steps = tree.map(lambda leaf: xp.flip(leaf, axis=0), (emitted, counts))
    _, beta = backend.scan(step, _log_of(backend, is_last, jumps), reversed_steps)
    return xp.flip(beta, axis=0)


def _shifted(backend: Backend, states: Array, places: int) -> Array:
    """Return (batch, states), shifted right, or left for negative places; -1e30 fills the gap."""
    xp = backend.xp
    entering = xp.full_like(states[:, : abs(places)], _IMPOSSIBLE)
    if places > 0:
        return xp.concat((entering, states[:, :-places]), axis=1)
    return xp.concat((states[:, -places:], entering), axis=1)


def _log_of(backend: Backend, possible: Array, like: Array) -> Array:
    """Return 0 where possible, else -1e30."""
    xp = backend.xp
    return xp.astype(~possible, like.dtype) * _IMPOSSIBLE
