"""Losses against their counterparts in PyTorch: the value of each example, and its gradient."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from backends import Backend
from multinn import (
    CTC,
    BinaryFocal,
    CosineSimilarity,
    Focal,
    KLDivergence,
    Loss,
    Masked,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)
from tests.support.loss_calls import call, per_example

torch = pytest.importorskip("torch")
F = torch.nn.functional

RNG = np.random.default_rng(0)
Z = RNG.normal(0.0, 2.0, (6, 4))
SEQUENCES = RNG.normal(0.0, 2.0, (4, 12, 5))
CLASSES = RNG.integers(0, 4, 6)
DISTRIBUTIONS = RNG.dirichlet(np.ones(4), 6)
COUNTS = RNG.poisson(3.0, (6, 4))
LABELS = np.array([[1, 1, 2, -1], [3, 4, -1, -1], [2, 2, 2, 2], [-1, -1, -1, -1]])
IGNORED = np.where(np.arange(12) < np.array([[3], [12], [7], [1]]), RNG.integers(0, 5, (4, 12)), -1)

Case = tuple[Loss, np.ndarray, np.ndarray, Callable[[Any, Any], Any]]


def focal(z: Any, t: Any) -> Any:
    q = torch.softmax(z, -1).gather(-1, t[:, None])[:, 0]
    return -((1.0 - q) ** 1.5) * torch.log(q)


def binary_focal(z: Any, t: Any) -> Any:
    """As in torchvision."""
    cross_entropies = F.binary_cross_entropy_with_logits(z, t.double(), reduction="none")
    q = torch.exp(-cross_entropies)
    return ((0.7 - 0.4 * t.double()) * (1.0 - q) ** 2 * cross_entropies).mean(-1)


def ctc(z: Any, t: Any, lengths: Any = (12, 12, 12, 12)) -> Any:
    log_p = torch.log_softmax(z, -1).transpose(0, 1)
    lengths = torch.tensor(lengths), (t >= 0).sum(1)
    return F.ctc_loss(log_p, torch.clamp(t, min=0), *lengths, reduction="none")


def ignoring(z: Any, t: Any) -> Any:
    values = F.cross_entropy(z.transpose(1, 2), t, ignore_index=-1, reduction="none")
    return values.sum(1) / (t >= 0).sum(1)


CASES: list[Case] = [
    (MultiClassHinge(), Z, CLASSES, lambda z, t: F.multi_margin_loss(z, t, reduction="none")),
    (
        MultiClassHinge(0.5, squared=True),
        Z,
        CLASSES,
        lambda z, t: F.multi_margin_loss(z, t, p=2, margin=0.5, reduction="none"),
    ),
    (
        KLDivergence(),
        Z,
        DISTRIBUTIONS,
        lambda z, t: F.kl_div(torch.log_softmax(z, -1), t, reduction="none").sum(-1),
    ),
    (Poisson(), Z, COUNTS, lambda z, t: F.poisson_nll_loss(z, t, reduction="none").mean(-1)),
    (CosineSimilarity(), Z, DISTRIBUTIONS - 0.25, lambda y, t: 1.0 - F.cosine_similarity(y, t, dim=-1)),
    (Focal(1.5), Z, CLASSES, focal),
    (BinaryFocal(2.0, 0.3), Z, (COUNTS > 2).astype(int), binary_focal),
    (SoftmaxCrossEntropy(ignored_class=-1), SEQUENCES, IGNORED, ignoring),
    (CTC(), SEQUENCES, LABELS, ctc),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case[0]))
def test_a_loss_and_its_gradient_equal_pytorch(backend: Backend, case: Case) -> None:
    loss, outputs, targets, reference = case
    z = torch.tensor(outputs, requires_grad=True)
    expected = reference(z, torch.tensor(targets))
    expected.sum().backward()
    values, gradient = per_example(backend, loss, outputs, targets)
    np.testing.assert_allclose(values, expected.detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("ignored_class", [None, -1])
def test_weighted_positions_equal_pytorch(backend: Backend, ignored_class: int | None) -> None:
    """With an ignored class, an example is the mean over its positions that count."""
    weights = np.random.default_rng(1).integers(0, 3, (4, 12)) * 0.5
    targets = (IGNORED if ignored_class else np.maximum(IGNORED, 0)).astype(np.int32)
    z, t, w = (
        torch.tensor(SEQUENCES, requires_grad=True),
        torch.tensor(targets).long(),
        torch.tensor(weights),
    )
    values = F.cross_entropy(z.transpose(1, 2), t, ignore_index=-1, reduction="none")
    expected = ((w * values).sum(1) / (t >= 0).sum(1)).sum() / w.mean(1).sum()
    expected.backward()
    loss = SoftmaxCrossEntropy(ignored_class=ignored_class)
    value, gradient = call(backend, loss, SEQUENCES, targets, weights)
    np.testing.assert_allclose(value, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-11, atol=1e-14)


def test_ctc_of_masked_outputs_is_that_of_pytorch_with_input_lengths(backend: Backend) -> None:
    """The third sequence has the 7 steps that its 4 equal labels need, the last has no label."""
    lengths = [5, 12, 7, 3]
    z = torch.tensor(SEQUENCES, requires_grad=True)
    expected = ctc(z, torch.tensor(LABELS), lengths)
    expected.sum().backward()
    outputs = Masked(SEQUENCES, np.arange(12) < np.array(lengths)[:, None])
    values, gradient = per_example(backend, CTC(), outputs, LABELS)
    np.testing.assert_allclose(values, expected.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, z.grad.numpy(), rtol=1e-11, atol=1e-14)
    assert not gradient[~outputs.mask].any()
