"""Layers, losses and optimizers compute what the test vectors of ONNX's operators say."""

from fnmatch import fnmatch

import numpy as np
import onnx
import pytest
from onnx.defs import AI_ONNX_PREVIEW_TRAINING_DOMAIN

from backends import Backend
from tests.support.onnx_vectors import BUILDERS, Inexpressible, Run, Vector, vectors

# The vectors that no layer, loss or optimizer computes, by patterns of their names, and the reasons.
INEXPRESSIBLE: dict[str, dict[str, str]] = {
    "Add": {"add_int*": "integers", "add_uint*": "integers", "add_bcast": "branches of several shapes"},
    "Attention": {
        "*fp16": "numbers of 16 bits",
        "*bf16": "numbers of 16 bits",
        "*float16_mask": "numbers of 16 bits",
        "*_mode3_softmax_precision": "numbers of 16 bits",
        "*softcap*": "a bound of the logits",
        "*_gqa_rank4_mask": "a bound of the logits",
    },
    "AveragePool": {"*_3d_*": "three axes"},
    "Celu": {"*float16": "numbers of 16 bits"},
    "ConvTranspose": {"convtranspose_3d": "three axes"},
    "Dropout": {
        "training_dropout": "random numbers",
        "training_dropout_mask": "random numbers",
        "training_dropout_default*": "random numbers",
    },
    "Flatten": {
        "flatten_axis[023]": "the batch is not the only axis that is kept",
        "flatten_negative_axis[124]": "the batch is not the only axis that is kept",
    },
    "Gather": {"gather_negative_indices": "ids that count from the end"},
    "Gemm": {"gemm_default_matrix_bias": "a bias for each example"},
    "Identity": {"identity_[so]*": "a sequence or an optional value"},
    "LSTM": {"lstm_with_peepholes": "peepholes"},
    "MatMul": {
        "matmul_[34]d": "weights that are no matrix",
        "matmul_bcast": "weights that are no matrix",
        "matmul_1d_*": "weights that are no matrix",
        "matmul_4d_1d": "weights that are no matrix",
    },
    "MaxPool": {"*_3d_*": "three axes"},
}
KNOWN = (1, 23)  # the version of onnx whose vectors the table lists; older ones have fewer

# Their expected numbers have four digits.
ROUNDED = {"averagepool_2d_ceil_last_window_starts_on_pad"}


def listed_reason(vector: Vector) -> str | None:
    """Return the first reason in the table against a vector."""
    patterns = INEXPRESSIBLE.get(vector.operator, {})
    return next((patterns[each] for each in patterns if fnmatch(vector.name, each)), None)


def found_reason(vector: Vector, backend: Backend) -> str | None:
    """Compare the outputs with those of the vector, or return why they cannot be computed."""
    try:
        got = BUILDERS[vector.operator](vector, Run(backend))
    except Inexpressible as reason:
        return str(reason)
    tolerance = 1e-4 if vector.name in ROUNDED else 1e-5
    pairs = [(own, right) for own, right in zip(got, vector.outputs, strict=False) if right is not None]
    assert pairs
    for own, right in pairs:
        np.testing.assert_allclose(own, right, rtol=tolerance, atol=tolerance, err_msg=vector.name)
        assert np.shape(own) == np.shape(right), vector.name
    return None


@pytest.mark.parametrize("backend", ["numpy", "array_api_strict"], indirect=True)
@pytest.mark.parametrize("operator", BUILDERS)
def test_each_vector_is_computed_or_listed_with_the_reason(operator: str, backend: Backend) -> None:
    for vector in vectors(operator):
        listed, found = listed_reason(vector), found_reason(vector, backend)
        assert found == listed, (
            f"{vector.name}: the table says {listed or 'that it is computed'}, which it is not: {found}"
            if found
            else f"{vector.name} is computed: take it off the table"
        )


@pytest.mark.parametrize("operator", BUILDERS)
def test_each_pattern_of_the_table_has_vectors(operator: str) -> None:
    names = [vector.name for vector in vectors(operator)]
    unused = {p for p in INEXPRESSIBLE.get(operator, {}) if not any(fnmatch(name, p) for name in names)}
    version = tuple(int(part) for part in onnx.__version__.split(".")[:2])
    assert not unused or version < KNOWN
    assert names or not any(
        onnx.defs.has(operator, domain=domain) for domain in ("", AI_ONNX_PREVIEW_TRAINING_DOMAIN)
    )
