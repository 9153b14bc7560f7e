"""The files of formulas fit together on every page; a browser test checks the formulas themselves."""

import re
from collections import Counter

import pytest

from multinn import (
    Container,
    Layer,
    Loss,
    Optimizer,
    Sequential,
    TransformerBlock,
    layers,
    losses,
    optimizers,
)
from multinn.tracing import page
from tests.support.formula_models import FORMULA_MODELS

DECLARED = re.compile(r"^(?:const|let|class|function\*?) (\w+)", re.MULTILINE)


def test_no_name_is_declared_in_two_files():
    counts = Counter(DECLARED.findall(page.script()))
    assert [name for name, count in counts.items() if count > 1] == []


def test_all_layers_have_formulas():
    kinds = [
        kind for kind in vars(layers).values() if isinstance(kind, type) and issubclass(kind, Layer)
    ]
    without = {Layer, Container, Sequential, TransformerBlock}  # what these call has formulas
    script = page.script()
    missing = [kind.__name__ for kind in kinds if f"\nformulas.{kind.__name__} = " not in script]
    assert sorted(set(missing) - {kind.__name__ for kind in without}) == []


@pytest.mark.parametrize(("module", "base"), [(losses, Loss), (optimizers, Optimizer)])
def test_all_losses_and_optimizers_have_formulas(module, base):
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, base)]
    script = page.script()
    missing = [kind.__name__ for kind in kinds if f"\nformulas.{kind.__name__} = " not in script]
    assert sorted(set(missing) - {"Loss", "LossOfEntries", "Optimizer", "Descent", "Wrapper"}) == []


def script_of(name: str) -> str:
    model = FORMULA_MODELS[name]
    return page.script(model.trainer().trace(model.x, model.y).data)


def test_a_page_has_the_files_that_its_formulas_import_and_no_others():
    script = script_of("equal maxima")
    assert script.index("function windowsOn") < script.index("formulas.MaxPool2D")
    assert "formulas.Conv2D" not in script
    assert "function windowsOn" not in script_of("dropout")
