"""Optimizers: pairs of pure functions, `init` and `update`, on trees of parameters.

In the formulas θ are the parameters, g the gradients, η the learning rate, and t = 1, 2, ... the number
of the update. A weight decay λ is decoupled, except in `LARS`: θ also shrinks by η λ θ.
"""

from multinn.optimizers.accumulation import AccumulateGradients as AccumulateGradients
from multinn.optimizers.adagrad import Adadelta as Adadelta
from multinn.optimizers.adagrad import Adagrad as Adagrad
from multinn.optimizers.adagrad import RMSProp as RMSProp
from multinn.optimizers.adam import Adam as Adam
from multinn.optimizers.adam import AdamW as AdamW
from multinn.optimizers.adam import AMSGrad as AMSGrad
from multinn.optimizers.adam import NAdam as NAdam
from multinn.optimizers.adam import RAdam as RAdam
from multinn.optimizers.averaging import ExponentialMovingAverage as ExponentialMovingAverage
from multinn.optimizers.base import LearningRate as LearningRate
from multinn.optimizers.base import Optimizer as Optimizer
from multinn.optimizers.lamb import LAMB as LAMB
from multinn.optimizers.lamb import LARS as LARS
from multinn.optimizers.lion import Lion as Lion
from multinn.optimizers.scaled import ScaledLearningRate as ScaledLearningRate
from multinn.optimizers.sgd import SGD as SGD
from multinn.optimizers.wrappers import ClipByGlobalNorm as ClipByGlobalNorm
from multinn.optimizers.wrappers import Freeze as Freeze
