"""Multi-head attention."""

import math
from dataclasses import dataclass
from functools import reduce
from typing import Any, ClassVar, NamedTuple

import numpy as np

from backends import Array, Backend, Shape, Tree
from multinn import functional
from multinn.descriptions.bounds import check_fractions, check_integers, check_positive
from multinn.host.trees import is_one_shape
from multinn.layers.base import Layer, Masked, mask_of, values_of, with_mask
from multinn.layers.dense import Dense, input_gradient
from multinn.layers.dropout import Dropout
from multinn.layers.masked import expand_mask, zero_padding
from multinn.random import Key


class _Cache(NamedTuple):
    """The arrays of the forward pass, named as in the derivation.

    Q is already multiplied by s. C is None in self-attention, and B without an additive mask.
    """

    X: Array
    C: Array | None
    B: Array | None
    Q: Array
    K: Array
    V: Array
    P: Array
    m: Array | None
    A: Array


@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Y = [A_1, A_2, ...] Wo + bo with A_h = P_h V_h: means of values with the weights P_h.

    For each example, X (time, features) holds the steps of the queries, and C the steps of the context,
    to which the queries attend. In self-attention, x is one array (batch, time, features) and C = X. In
    cross-attention, x is a pair (queries, context), such as the output of Parallel. The matrices Q, K
    and V of each head, of size d, are columns of
        X Wq + bq = [Q_1, Q_2, ...],   C Wk = [K_1, K_2, ...],   C Wv + bv = [V_1, ...],
    and for each head, S = s Q Kᵀ + B, P = softmax(S) along rows, and A = P V. The additive mask B is 0
    unless x is a triple (queries, context, B): B is (batch, time, time of C), the same for all heads, or
    (batch, heads, time, time of C).
    Shapes: Wq (features, heads d), Wk (features of C, heads d), Wv (features of C, heads v) and
    Wo (heads v, features) for values of size v, by default d.
    The softmax of row i leaves out each step j that is hidden from i: padding, if the context has a
    mask, with ``causal`` each j > i, and where B_ij is -∞ or nearly the lowest number of its dtype. If
    all steps are hidden, the row is zeros. Y has the mask of the queries. Keys have no bias: it would
    shift each row of S by one number and not change P.
    The context's padding counts as zeros, so no number there reaches another step, not even an infinite
    one. A padded step of the queries is computed like any other, with zeros for numbers that are not
    finite, except for -∞ in B.

    With dA = the head's columns of dY Woᵀ, as Wo is a fully connected layer (see Dense):
        dV = Pᵀ dA                            dP = dA Vᵀ
        dS_ij = P_ij (dP_ij - Σ_k P_ik dP_ik)  (see Softmax; where j is hidden P_ij = 0, and so dS_ij)
        dQ = s dS K                           dK = s dSᵀ Q
        dB = dS, or its sum over the heads if they have one B
    The sum needs no P: Σ_k P_ik dP_ik = Σ_kc P_ik dA_ic V_kc = Σ_c dA_ic A_ic. With the columns of all
    heads together,
        dWq = Xᵀ dQ,  dWk = Cᵀ dK,  dWv = Cᵀ dV,  dbq and dbv the sums of the rows of dQ and dV,
        dX = dQ Wqᵀ,  dC = dK Wkᵀ + dV Wvᵀ,  and in self-attention dx = dX + dC.
    With dropout, P ∘ m replaces P in A and dV, and dP = (dA Vᵀ) ∘ m; the formula of the sum still holds.
    Source: A. Vaswani et al., Attention is all you need, NIPS 2017, section 3.2; T. Dao et al.,
    FlashAttention, NeurIPS 2022, appendix B.2 (the sum without P).

    Attributes:
        heads: the number of heads, at least 1.
        key_size: d, the size of queries and keys of one head; None for features / heads.
        causal: whether a step attends to no later step.
        use_bias: whether bq, bv and bo are added.
        dropout: the fraction of P that is set to zero while training, in [0, 1).
        scale: s; None for 1 / √d.
        value_size: the size of values of one head; None for d.

    Raises:
        ValueError: heads, key_size or value_size is below 1, dropout is outside [0, 1), or scale is not
            positive and finite.

    >>> from multinn import Dense, Identity, Parallel, Sequential
    >>> cross = Sequential([Parallel([Identity(), Dense(6)]), MultiHeadAttention(heads=2)])
    >>> cross.init(np.random.default_rng(0), (5, 4))[1]
    (5, 4)
    """

    heads: int
    key_size: int | None = None
    causal: bool = False
    use_bias: bool = True
    dropout: float = 0.0
    scale: float | None = None
    value_size: int | None = None
    takes_mask: ClassVar[bool] = True
    takes_tuple: ClassVar[bool] = True

    def __post_init__(self) -> None:
        sizes = [name for name in ("key_size", "value_size") if getattr(self, name) is not None]
        check_integers(self, "heads", *sizes)
        check_fractions(self, "dropout")
        if self.scale is not None:
            check_positive(self, "scale")

    def init(self, generator: np.random.Generator, input_shape: Any) -> tuple[Tree, Shape]:
        """Draw the parameters of query, key, value and output as in Dense; the key has no bias.

        Args:
            generator: the source of all randomness.
            input_shape: (time, features), a pair of such shapes for cross-attention, or a triple with
                the shape of B.
        """
        queries, context = self._checked_shapes(input_shape)
        steps, features = queries
        key_size = self._key_size(features)
        size, value_size = self.heads * key_size, self.heads * (self.value_size or key_size)
        params = {
            "query": Dense(size, self.use_bias).init(generator, queries)[0],
            "key": Dense(size, use_bias=False).init(generator, context)[0],
            "value": Dense(value_size, self.use_bias).init(generator, context)[0],
            "output": Dense(features, self.use_bias).init(generator, (steps, value_size))[0],
        }
        return params, queries

    def forward(
        self, backend: Backend, params: Tree, x: Any, key: Key | None = None
    ) -> tuple[Array, Tree]:
        """Return Y, and (X, C, B, s Q, K, V, P, m, A)."""
        queries, context, *bias = x if _is_tuple(x) else (x, x)
        X, C = _with_finite_padding(backend, queries), _with_padding_of_zeros(backend, context)
        B = _with_rows_of_padding(backend, bias[0], mask_of(queries)) if bias else None
        Q, K, V = (
            self._split(backend, _dense(own).forward(backend, own, inputs)[0])
            for own, inputs in ((params["query"], X), (params["key"], C), (params["value"], C))
        )
        Q = Q * self._scale(Q)
        P = self._weights(backend, Q @ backend.xp.matrix_transpose(K), mask_of(context), B)
        kept, m = Dropout(self.dropout).forward(backend, {}, P, key)
        A = _merge(backend, kept @ V)
        Y, _ = _dense(params["output"]).forward(backend, params["output"], A)
        cache = _Cache(X, C if _is_tuple(x) else None, B, Q, K, V, P, m, A)
        return with_mask(Y, mask_of(queries)), cache

    def backward(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> tuple[Any, Tree]:
        """Return dx, (dX, dC) or (dX, dC, dB), and the gradients of query, key, value and output."""
        gradients, (dQ, dK, dV), dS = self._backward_to_projections(backend, params, cache, dy)
        dX, of_key, of_value = (
            input_gradient(backend, d, params[name]["W"])
            for name, d in (("query", dQ), ("key", dK), ("value", dV))
        )
        dC = of_key + of_value
        if cache.C is None:
            return dX + dC, gradients
        if cache.B is None:
            return (dX, dC), gradients
        return (dX, dC, dS if cache.B.ndim == 4 else backend.xp.sum(dS, axis=1)), gradients

    def parameter_gradients(self, backend: Backend, params: Tree, cache: Tree, dy: Array) -> Tree:
        """Return the gradients of query, key, value and output."""
        return self._backward_to_projections(backend, params, cache, dy)[0]

    def _backward_to_projections(
        self, backend: Backend, params: Tree, cache: _Cache, dY: Array
    ) -> tuple[Tree, tuple[Array, Array, Array], Array]:
        """Return the gradients of the parameters, (dQ, dK, dV) of all heads together, and dS."""
        xp = backend.xp
        X, C, _, Q, K, V, P, m, A = cache
        C = X if C is None else C  # they differ in padding, where dK and dV are 0
        dA, d_output = _dense(params["output"]).backward(backend, params["output"], A, dY)
        dA = self._split(backend, dA)
        sums = functional.sum_of_columns(backend, dA * self._split(backend, A))
        dP = dA @ xp.matrix_transpose(V)
        dS = P * ((dP if m is None else dP * m) - sums)
        dV = xp.matrix_transpose(P if m is None else P * m) @ dA
        dQ = dS @ K * self._scale(Q)
        dK = xp.matrix_transpose(dS) @ Q
        dQ, dK, dV = (_merge(backend, each) for each in (dQ, dK, dV))
        gradients = {
            name: _dense(params[name]).parameter_gradients(backend, params[name], inputs, d)
            for name, inputs, d in (("query", X, dQ), ("key", C, dK), ("value", C, dV))
        }
        return gradients | {"output": d_output}, (dQ, dK, dV), dS

    def _weights(self, backend: Backend, S: Array, mask: Array | None, B: Array | None) -> Array:
        """Return P = softmax(S + B); the mask is that of the context."""
        xp = backend.xp
        hidden = [] if mask is None else [xp.logical_not(mask)[:, None, None, :]]
        if self.causal:
            hidden.append(_later_steps(backend, S))
        if B is not None:
            bias = B if B.ndim == 4 else B[:, None, :, :]
            lowest = -0.25 * float(xp.finfo(B.dtype).max)
            S = S + xp.maximum(bias, lowest)
            hidden.append(bias < lowest)
        if not hidden:
            return functional.softmax(backend, S)
        return functional.masked_softmax(backend, S, reduce(xp.logical_or, hidden))

    def _scale(self, Q: Array) -> float:
        return 1.0 / math.sqrt(Q.shape[-1]) if self.scale is None else self.scale

    def _split(self, backend: Backend, x: Array) -> Array:
        """Split the last axis into heads: (batch, time, heads d) becomes (batch, heads, time, d)."""
        heads = backend.xp.reshape(x, (*x.shape[:2], self.heads, -1))
        return backend.xp.permute_dims(heads, (0, 2, 1, 3))

    def _key_size(self, features: int) -> int:
        if self.key_size is not None:
            return self.key_size
        if features % self.heads:
            raise ValueError(
                f"MultiHeadAttention: expected features divisible by {self.heads} heads, got "
                f"{features}; change heads, or set key_size"
            )
        return features // self.heads

    def _checked_shapes(self, input_shape: Any) -> tuple[Shape, Shape]:
        """Return the shapes of queries and context."""
        several = not is_one_shape(input_shape)
        shapes = input_shape if several else (input_shape, input_shape)
        if isinstance(shapes, dict) or not all(map(is_one_shape, shapes)):
            raise ValueError(
                "MultiHeadAttention: expected one array, or a tuple (queries, context) of arrays, got "
                f"arrays of shapes {input_shape}, without the batch; make a pair with Parallel"
            )
        sequences, bias = shapes[:2], shapes[2:]
        if len(shapes) not in (2, 3) or any(len(shape) != 2 or min(shape) < 1 for shape in sequences):
            got = [("batch", *shape) for shape in shapes] if several else ("batch", *input_shape)
            raise ValueError(
                "MultiHeadAttention: expected inputs of shape (batch, time, features), a triple "
                "(queries, context, additive mask), or a pair (queries, context) of such inputs, got "
                f"{got}"
            )
        queries, context = sequences
        scores = (queries[0], context[0])
        if bias and bias[0] not in (scores, (self.heads, *scores)):
            raise ValueError(
                f"MultiHeadAttention: expected an additive mask of shape {('batch', *scores)} or "
                f"{('batch', self.heads, *scores)}, got {('batch', *bias[0])}"
            )
        if self.causal and queries[0] != context[0]:
            raise ValueError(
                "MultiHeadAttention: expected for causal=True as many time steps in the context as in "
                f"the queries, got {context[0]} and {queries[0]}"
            )
        return queries, context


def _is_tuple(x: Any) -> bool:
    return isinstance(x, tuple) and not isinstance(x, Masked)


def _with_padding_of_zeros(backend: Backend, x: Array | Masked) -> Array:
    """Return the values, with zeros where the mask is False."""
    return zero_padding(backend, values_of(x), expand_mask(backend, mask_of(x), 3))


def _with_finite_padding(backend: Backend, x: Array | Masked) -> Array:
    """Return the values, with zeros where the mask is False and the value is not finite."""
    values, mask = values_of(x), expand_mask(backend, mask_of(x), 3)
    if mask is None:
        return values
    finite = backend.xp.abs(values) < math.inf
    return zero_padding(backend, values, backend.xp.logical_or(mask, finite))


def _with_rows_of_padding(backend: Backend, B: Array | Masked, mask: Array | None) -> Array:
    """Return the values of B, with zeros for NaN and ∞ in the rows of padded queries."""
    values = values_of(B)
    if mask is None:
        return values
    rows = mask[:, :, None] if values.ndim == 3 else mask[:, None, :, None]
    return zero_padding(backend, values, backend.xp.logical_or(rows, values < math.inf))


def _dense(params: Tree) -> Dense:
    """Return the layer with these parameters."""
    return Dense(params["W"].shape[1], use_bias="b" in params)


def _merge(backend: Backend, x: Array) -> Array:
    """Join the heads: (batch, heads, time, d) becomes (batch, time, heads d)."""
    batch, heads, time, size = x.shape
    return backend.xp.reshape(backend.xp.permute_dims(x, (0, 2, 1, 3)), (batch, time, heads * size))


def _later_steps(backend: Backend, S: Array) -> Array:
    """Return (time, time) booleans: True in row i and column j if j > i."""
    steps = backend.xp.arange(S.shape[-1])
    return steps[None, :] > steps[:, None]
