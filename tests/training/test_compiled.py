"""The least-recently-used cache of compiled functions, and how trainers use it."""

import copy
import pickle
from typing import Any

import numpy as np

from backends import get_backend
from multinn import Dense, MeanSquaredError, Trainer
from multinn.sklearn import MLPClassifier
from multinn.sklearn.trainer import _PROGRAMS
from multinn.training.compiled import CompiledPrograms, RecentPrograms, Seconds


class Program:
    """A compiled function that keeps some bytes."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes

    def __call__(self, *arguments: Any) -> Any:
        return arguments


def kept(programs: RecentPrograms, keys: str) -> str:
    """Return the keys that are in the cache, without using them."""
    return "".join(key for key in keys if key in programs._programs)


def filled(keys: str, nbytes: int = 0, **bounds: int) -> RecentPrograms:
    programs = RecentPrograms(**bounds)
    for key in keys:
        programs.add(key, Program(nbytes))
    return programs


def test_the_number_of_functions_has_a_bound():
    assert kept(filled("abcd", most=2), "abcd") == "cd"


def test_a_function_that_is_used_again_is_recent():
    programs = filled("abc", most=3)
    assert programs.get("a") is not None
    programs.add("d", Program(0))
    assert kept(programs, "abcd") == "acd"


def test_memory_has_a_bound():
    assert kept(filled("abcd", nbytes=40, most_bytes=100), "abcd") == "cd"
    assert kept(filled("abcd", nbytes=101, most_bytes=100), "abcd") == ""


def test_a_few_functions_are_kept_whatever_memory_they_take():
    assert kept(filled("abcd", nbytes=200, least=3, most_bytes=100), "abcd") == "bcd"


def test_a_function_without_memory_of_its_own_counts_nothing():
    programs = RecentPrograms(most_bytes=0)
    programs.add("a", np.exp)
    assert programs.get("a") is np.exp


def test_a_function_that_is_in_use_elsewhere_is_found():
    programs, program = RecentPrograms(most_bytes=100), Program(101)
    programs.add("a", program)
    assert kept(programs, "a") == ""
    assert programs.get("a") is program
    del program
    assert programs.get("a") is None


def test_a_compiled_function_reports_the_memory_that_it_keeps():
    x = np.zeros((1000, 100), np.float32)
    compiled: Any = get_backend("numpy").jit(lambda x: np.sum(np.exp(x)), x)
    assert x.nbytes <= compiled.nbytes < 1.1 * x.nbytes
    compiled(np.asfortranarray(x))  # compiles once more
    assert compiled.nbytes >= 2 * x.nbytes


def test_trainers_that_share_a_cache_compile_a_function_once():
    shared, backend, x = RecentPrograms(), get_backend("numpy"), np.zeros(3)
    first, second, other = (CompiledPrograms(backend, Seconds()) for _ in range(3))
    for programs, family in ((first, "a"), (second, "a"), (other, "b")):
        programs.share(shared, family)
    program = first.get(np.tanh, x)
    assert first.get(np.tanh, x) is program
    assert second.get(np.tanh, x) is program
    assert second.seconds.compile == 0.0
    assert other.get(np.tanh, x) is not program


def test_a_copy_compiles_again():
    programs = CompiledPrograms(get_backend("numpy"), Seconds())
    program = programs.get(np.tanh, np.zeros(3))
    for copied in (copy.deepcopy(programs), pickle.loads(pickle.dumps(programs))):
        assert copied.get(np.tanh, np.zeros(3)) is not program


def test_a_stream_of_changing_lengths_keeps_few_programs(monkeypatch):
    monkeypatch.setattr(RecentPrograms, "_is_full", lambda programs: len(programs) > 10)
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = (x[:, 0] > 0).astype(int)
    classifier: Any = MLPClassifier((4,), backend="numpy")
    for length in range(20, 120):
        classifier.partial_fit(x[:length], y[:length], classes=[0, 1])
    assert len(classifier.trainer_.programs._own) <= 10
    assert len(_PROGRAMS) <= 10


def test_batches_of_many_sizes_compile_once():
    trainer = Trainer(Dense(2), MeanSquaredError(), backend="numpy")
    batches = [(np.ones((size, 3)), np.ones((size, 2))) for size in range(1, 101)]
    trainer.fit_batches(batches, epochs=1, progress=False)
    compiled = trainer.seconds.compile
    trainer.fit_batches(batches, epochs=1, progress=False)
    assert trainer.seconds.compile == compiled
