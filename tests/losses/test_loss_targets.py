"""Losses: the checks of targets and of hyperparameters."""

import math
import re

import numpy as np
import pytest

from multinn import (
    CTC,
    BinaryCrossEntropy,
    BinaryFocal,
    CosineSimilarity,
    Focal,
    HalfSquaredError,
    Hinge,
    Huber,
    KLDivergence,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)

ELEMENTWISE = [
    MeanSquaredError(),
    HalfSquaredError(),
    MeanAbsoluteError(),
    Huber(),
    BinaryCrossEntropy(),
    BinaryFocal(),
    Poisson(),
]
OF_CLASSES = [SoftmaxCrossEntropy(), Focal(), MultiClassHinge(), SoftmaxCrossEntropy(ignored_class=-2)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Huber(0.0), "Huber: expected a positive, finite delta, got 0.0"),
        (lambda: Huber(math.inf), "Huber"),
        (lambda: Huber(math.nan), "Huber"),
        (
            lambda: SoftmaxCrossEntropy(1.0),
            r"SoftmaxCrossEntropy: .*label_smoothing in \[0, 1\), got 1.0",
        ),
        (lambda: SoftmaxCrossEntropy(-0.1), "SoftmaxCrossEntropy"),
        (
            lambda: SoftmaxCrossEntropy(ignored_class=0.5),
            r"SoftmaxCrossEntropy: expected an integer ignored_class, or None, got 0.5",
        ),
        *(
            (
                lambda wide=wide: SoftmaxCrossEntropy(ignored_class=wide),
                f"SoftmaxCrossEntropy: expected an ignored_class of at most 32 bits, .* got {wide};",
            )
            for wide in (2**31, 2**32, -(2**31) - 1)
        ),
        (lambda: MultiClassHinge(0.0), "MultiClassHinge: expected a positive, finite margin, got 0.0"),
        (lambda: MultiClassHinge(math.nan), "MultiClassHinge"),
        (lambda: Focal(-1.0), "Focal: expected a finite gamma of 0 or more, got -1.0"),
        (lambda: Focal(math.inf), "Focal"),
        (lambda: Focal(alpha=-0.1), "Focal: expected alpha to be a finite number of 0 or more, or one"),
        (lambda: Focal(alpha=(1.0, math.nan)), "Focal"),
        (lambda: Focal(alpha=()), "Focal"),
        (lambda: Focal(alpha="a"), "Focal: expected alpha to be .* got 'a'"),
        (lambda: BinaryFocal(math.nan), "BinaryFocal: expected a finite gamma"),
        (lambda: BinaryFocal(alpha=1.1), r"BinaryFocal: expected an alpha in \[0, 1\], got 1.1"),
        (lambda: CTC(-1), "CTC: expected blank of at least 0, got -1"),
        (lambda: CTC(0.5), "CTC"),
    ],
)
def test_wrong_hyperparameters_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_of_classes_may_be_a_list_or_an_array():
    expected = Focal(alpha=(0.5, 2.0))
    for alpha in ([0.5, 2.0], np.array([0.5, 2.0])):
        assert Focal(alpha=alpha) == expected
    assert hash(Focal(alpha=[0.5, 2.0])) == hash(expected)
    assert repr(Focal(alpha=np.float64(0.5))) == "Focal(gamma=2.0, alpha=0.5)"


@pytest.mark.parametrize("loss", [*ELEMENTWISE, Hinge(), CosineSimilarity(), KLDivergence()], ids=str)
@pytest.mark.parametrize(
    ("targets", "outputs"),
    [((4,), (1,)), ((4, 1, 1), (1,)), ((4, 2), (1,)), ((4, 1), (2,)), ((4, 2), (2, 2))],
)
def test_targets_that_would_broadcast_silently_are_refused(loss, targets, outputs):
    with pytest.raises(
        ValueError, match=rf"{type(loss).__name__}: expected targets of shape \('examples'"
    ):
        loss.prepare_targets(np.zeros(targets), outputs, "float32")


@pytest.mark.parametrize("loss", [*OF_CLASSES, CosineSimilarity(), KLDivergence()], ids=str)
def test_losses_of_vectors_need_vectors(loss):
    with pytest.raises(ValueError, match=r"at least 2 outputs .*got outputs of shape \('examples',\);"):
        loss.prepare_targets(np.zeros(4), (), "float32")


@pytest.mark.parametrize("targets", [(4, 1), (4, 2), (4, 1, 3)])
def test_classes_of_a_wrong_shape_are_refused(targets):
    with pytest.raises(
        ValueError, match=r"shape \('examples',\), integer classes, or \('examples', 3\)"
    ):
        SoftmaxCrossEntropy().prepare_targets(np.zeros(targets), (3,), "float32")


@pytest.mark.parametrize("targets", [(4, 1), (4, 3), (4, 1, 3)])
@pytest.mark.parametrize("loss", OF_CLASSES[1:], ids=str)
def test_losses_of_integer_classes_refuse_other_shapes(loss, targets):
    message = rf"{type(loss).__name__}: expected targets of shape \('examples',\), integer classes, for"
    with pytest.raises(ValueError, match=message):
        loss.prepare_targets(np.zeros(targets), (3,), "float32")


@pytest.mark.parametrize(
    "targets", [np.array([0, 1]), np.array([False, True]), np.array([0, 1], np.uint8)], ids=str
)
@pytest.mark.parametrize("loss", ELEMENTWISE, ids=str)
def test_targets_become_floats_of_the_dtype(loss, targets):
    prepared = loss.prepare_targets(targets[:, None], (1,), "float64")
    np.testing.assert_array_equal(prepared, np.array([[0.0], [1.0]]), strict=True)


@pytest.mark.parametrize(
    "targets", [np.array([0, 1, 1], np.uint8), np.array([-1, 1, 1]), np.array([False, True, True])]
)
def test_targets_of_a_hinge_become_minus_1_and_1(targets):
    prepared = Hinge().prepare_targets(targets[:, None], (1,), "float32")
    np.testing.assert_array_equal(prepared, np.array([[-1], [1], [1]], np.float32), strict=True)


@pytest.mark.parametrize("targets", [[0.0, 1.0, -1.0], [1.0, 1.0, 0.5], [-1.0, 1.0, 2.0]])
def test_other_targets_of_a_hinge_are_named_with_their_row(targets):
    with pytest.raises(ValueError, match=rf"-1 and 1, got {targets[2]} at row 2, column 0"):
        Hinge().prepare_targets(np.array(targets)[:, None], (1,), "float32")


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
@pytest.mark.parametrize("loss", OF_CLASSES, ids=str)
def test_classes_become_int32(loss, dtype):
    prepared = loss.prepare_targets(np.array([0, 1, 1], dtype), (2,), "float32")
    np.testing.assert_array_equal(prepared, np.array([0, 1, 1], np.int32), strict=True)


@pytest.mark.parametrize("wrong", [-1, 3, 255, 1.5, 1e300])
@pytest.mark.parametrize("loss", OF_CLASSES, ids=str)
def test_a_class_out_of_range_is_named_with_its_row(loss, wrong):
    with pytest.raises(ValueError, match=re.escape(f"got {wrong} at row 2")):
        loss.prepare_targets(np.array([0, 1, wrong, 2]), (3,), "float32")


@pytest.mark.parametrize("wrong", [[0.5, 0.4, 0.0], [1.5, -0.5, 0.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), KLDivergence()], ids=str)
def test_invalid_probabilities_are_named_with_their_row(loss, wrong):
    targets = np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5], wrong])
    with pytest.raises(ValueError, match=r"sum to 1, got .* at row 2"):
        loss.prepare_targets(targets, (3,), "float32")


@pytest.mark.parametrize("loss", [SoftmaxCrossEntropy(), KLDivergence()], ids=str)
def test_probabilities_that_are_rounded_are_made_to_sum_to_1(loss):
    prepared = loss.prepare_targets(np.array([[0.333, 0.333, 0.333]]), (3,), "float64")
    np.testing.assert_allclose(prepared, np.full((1, 3), 1.0 / 3.0), rtol=1e-15)


def test_the_ignored_class_is_allowed_and_named():
    loss = SoftmaxCrossEntropy(ignored_class=-1)
    prepared = loss.prepare_targets(np.array([[0, -1], [2, 1]]), (2, 3), "float32")
    np.testing.assert_array_equal(prepared, np.array([[0, -1], [2, 1]], np.int32), strict=True)
    with pytest.raises(ValueError, match=r"classes in 0\.\.2 or -1, which is ignored, got -2 at row 0"):
        loss.prepare_targets(np.array([[-2, -1]]), (2, 3), "float32")


def test_each_class_needs_a_weight():
    with pytest.raises(ValueError, match="Focal: expected one alpha for each of the 3 classes"):
        Focal(alpha=(1.0, 2.0)).prepare_targets(np.array([0, 1]), (3,), "float32")


@pytest.mark.parametrize("wrong", [-0.1, 1.1, 2.0])
def test_a_binary_target_out_of_range_is_named_with_its_row(wrong):
    targets = np.array([[0.0, 1.0], [0.5, wrong]])
    with pytest.raises(ValueError, match=rf"targets in \[0, 1\], got {wrong} at row 1, column 1"):
        BinaryCrossEntropy().prepare_targets(targets, (2,), "float64")


@pytest.mark.parametrize("wrong", [-1.0, 0.5, 2.0])
def test_a_target_of_a_binary_focal_loss_is_0_or_1(wrong):
    with pytest.raises(ValueError, match=f"BinaryFocal: .* targets of 0 and 1, got {wrong} at row 1"):
        BinaryFocal().prepare_targets(np.array([[0.0], [wrong]]), (1,), "float32")


def test_a_count_is_not_negative():
    with pytest.raises(ValueError, match=r"Poisson: expected targets of 0 or more, got -1\.0 at row 1"):
        Poisson().prepare_targets(np.array([[0], [-1]]), (1,), "float32")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([1, 2], r"expected targets of shape \('examples', labels\), .* padded with -1, got \(2,\)"),
        (np.zeros((2, 0)), r"expected targets of shape"),
        ([[1, 3]], r"labels in 0\.\.2 other than the blank, 0, or -1, got 3 at row 0, column 1"),
        ([[1, -2]], "got -2 at row 0, column 1"),
        ([[1.0, 1.5]], "got 1.5 at row 0, column 1"),
        ([[1, 0]], "other than the blank, 0, or -1, got 0 at row 0, column 1"),
        ([[1, -1, 2]], "padding only at the end, got 2 at row 0, column 2"),
        ([[1, 2, -1, -1], [1, 2, 1, 2]], "need at most 3 time steps, .*, got 4 at row 1"),
        ([[1, 1, 2]], "got 4 at row 0"),
    ],
)
def test_impossible_labels_are_named(targets, message):
    with pytest.raises(ValueError, match=f"CTC: .*{message}"):
        CTC().prepare_targets(np.array(targets), (3, 3), "float32")


@pytest.mark.parametrize(
    ("blank", "shape", "message"),
    [(0, (3,), r"outputs of shape \('examples', time, classes\)"), (3, (4, 3), "a blank below 3")],
)
def test_outputs_without_time_or_blank_are_refused(blank, shape, message):
    with pytest.raises(ValueError, match=f"CTC: expected {message}"):
        CTC(blank).prepare_targets(np.array([[1]]), shape, "float32")


def test_labels_become_int32():
    prepared = CTC(blank=2).prepare_targets(np.array([[0.0, 1.0], [1.0, -1.0]]), (3, 3), "float32")
    np.testing.assert_array_equal(prepared, np.array([[0, 1], [1, -1]], np.int32), strict=True)
