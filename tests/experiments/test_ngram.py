"""n-gram models, against counts by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from experiments.language.ngram import NGram, count_ngrams
from experiments.language.text import ALICE, read_text

ABAA = np.array([0, 1, 0, 0], np.uint8)  # a b a a

# Of no history: C(a) = 3, C(b) = 1, N = 4, T = 2, so p(a) = (3 + 2/2) / 6 and p(b) = (1 + 2/2) / 6.
# After a: C(aa) = C(ab) = 1, N = 2, T = 2. After b: C(ba) = 1, N = 1, T = 1.
UNIGRAM = {"a": Fraction(2, 3), "b": Fraction(1, 3)}
BIGRAM = {
    "aa": (1 + 2 * UNIGRAM["a"]) / 4,
    "ab": (1 + 2 * UNIGRAM["b"]) / 4,
    "ba": (1 + UNIGRAM["a"]) / 2,
    "bb": (0 + UNIGRAM["b"]) / 2,
}


def windows(*texts: str) -> np.ndarray:
    return np.array([["abc".index(character) for character in text] for text in texts])


@pytest.mark.parametrize("expected", [UNIGRAM, BIGRAM], ids=["unigram", "bigram"])
def test_the_probabilities_are_those_counted_by_hand(expected):
    order = len(next(iter(expected)))
    model = count_ngrams(ABAA, order, characters=2)
    found = model.probabilities(windows(*expected))
    assert found.tolist() == pytest.approx([float(p) for p in expected.values()])


def test_an_unseen_history_has_the_probabilities_of_the_shorter_one():
    model = count_ngrams(ABAA, 3, characters=2)
    expected = [float(BIGRAM[each]) for each in ("ba", "bb")]
    assert model.probabilities(windows("bba", "bbb")).tolist() == pytest.approx(expected)


def test_an_unseen_character_has_a_probability():
    model = count_ngrams(ABAA, 1, characters=3)
    assert model.probabilities(windows("c"))[0] == pytest.approx(2 / 3 / 6)


def all_windows(model: NGram) -> np.ndarray:
    return np.indices((model.characters,) * model.order).reshape(model.order, -1).T


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_probabilities_after_each_history_sum_to_one(order):
    model = count_ngrams(np.random.default_rng(0).integers(0, 4, 60), order, characters=5)
    sums = model.probabilities(all_windows(model)).reshape(-1, 5).sum(axis=1)
    np.testing.assert_allclose(sums, 1.0, rtol=1e-12)


def test_the_loss_is_the_mean_over_the_characters_from_the_start_on():
    model = count_ngrams(ABAA, 2, characters=2)
    ids = np.array([1, 1, 0, 1], np.uint8)  # b a b: after "b", a; after a, b
    expected = -(math.log(BIGRAM["ba"]) + math.log(BIGRAM["ab"])) / 2
    assert model.loss(ids, start=2) == pytest.approx(expected)


@pytest.mark.parametrize(("order", "loss"), [(3, 1.8752), (4, 1.5833)])
def test_the_baselines_of_alice(order, loss):
    text = read_text(ALICE, context=64)
    model = count_ngrams(text.training_ids, order, len(text.characters))
    assert model.loss(text.ids, text.start) == pytest.approx(loss, abs=1e-4)


@pytest.mark.parametrize(
    ("length", "order", "message"),
    [
        (4, 0, "expected an order from 1 to 63, got 0"),
        (4, 64, "expected an order from 1 to 63, got 64"),
        (4, 5, "expected a text of at least 5 characters, got 4"),
    ],
)
def test_an_impossible_order_is_refused(length, order, message):
    with pytest.raises(ValueError, match=message):
        count_ngrams(ABAA[:length], order, characters=2)
