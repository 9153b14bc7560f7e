"""Loss functions, which return their value and its gradient with respect to the outputs.

Each loss states its value l_n for one example n, and the gradient of l_n. The base class combines the
examples: with weights w_n the loss is L = Σ_n w_n l_n / Σ_n w_n, so ∂L/∂outputs_n = (w_n / Σ w) ∂l_n;
without weights, every w_n is 1. (HalfSquaredError is the plain sum: L = Σ_n w_n l_n.)

Shapes: outputs and targets (batch, ...) unless said otherwise, weights (batch,), L a scalar. Where
an example has several outputs, m of them, l_n is the mean over them, and each may have a weight of its
own; `LossOfEntries` says how they are combined. `Heads` combines losses of several outputs.
"""

from multinn.losses.base import Loss as Loss
from multinn.losses.base import LossOfEntries as LossOfEntries
from multinn.losses.classification import BinaryCrossEntropy as BinaryCrossEntropy
from multinn.losses.classification import KLDivergence as KLDivergence
from multinn.losses.classification import SoftmaxCrossEntropy as SoftmaxCrossEntropy
from multinn.losses.ctc import CTC as CTC
from multinn.losses.focal import BinaryFocal as BinaryFocal
from multinn.losses.focal import Focal as Focal
from multinn.losses.heads import Heads as Heads
from multinn.losses.hinge import Hinge as Hinge
from multinn.losses.hinge import MultiClassHinge as MultiClassHinge
from multinn.losses.regression import HalfSquaredError as HalfSquaredError
from multinn.losses.regression import Huber as Huber
from multinn.losses.regression import MeanAbsoluteError as MeanAbsoluteError
from multinn.losses.regression import MeanSquaredError as MeanSquaredError
from multinn.losses.regression import Poisson as Poisson
from multinn.losses.similarity import CosineSimilarity as CosineSimilarity
