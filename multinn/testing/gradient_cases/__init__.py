"""The cases of `experiments.check_gradients`: each layer and each loss, at a random point.

A new layer or loss needs a case in the file of its family. Shapes include the batch.
"""

from multinn.testing.gradient_cases import (
    activations,
    attention,
    basic,
    compositions,
    images,
    losses,
    normalization,
    sequences,
)
from multinn.testing.gradient_cases.base import Case as Case
from multinn.testing.gradient_cases.base import Evaluation as Evaluation
from multinn.testing.gradient_cases.base import LayerCase as LayerCase
from multinn.testing.gradient_cases.base import LossCase as LossCase
from multinn.testing.gradient_cases.base import Point as Point

LAYERS: tuple[LayerCase, ...] = (
    *basic.CASES,
    *activations.CASES,
    *normalization.CASES,
    *images.CASES,
    *sequences.CASES,
    *compositions.CASES,
    *attention.CASES,
)
LOSSES: tuple[LossCase, ...] = losses.CASES
CASES: tuple[Case, ...] = (*LAYERS, *LOSSES)
