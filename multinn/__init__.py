"""Neural networks with gradients derived by hand, written once for all array libraries."""

import inspect as _inspect
from types import ModuleType as _ModuleType

from multinn.host.own_backends import hidden_backends as _hidden_backends

if _problem := _hidden_backends():
    raise ImportError(_problem)

from multinn import exchange as exchange
from multinn import functional as functional
from multinn import initializers as initializers
from multinn import layers as layers
from multinn import losses as losses
from multinn import metrics as metrics
from multinn import onnx as onnx
from multinn import optimizers as optimizers
from multinn import random as random
from multinn import schedules as schedules
from multinn.callbacks import Callback as Callback
from multinn.callbacks import CSVLogger as CSVLogger
from multinn.callbacks import EarlyStopping as EarlyStopping
from multinn.callbacks import ReduceLearningRateOnPlateau as ReduceLearningRateOnPlateau
from multinn.callbacks import SaveCheckpoint as SaveCheckpoint
from multinn.callbacks import TensorBoard as TensorBoard
from multinn.descriptions.registry import register as register
from multinn.descriptions.registry import register_module as _register_module
from multinn.errors import CheckpointError as CheckpointError
from multinn.errors import DamagedCheckpointError as DamagedCheckpointError
from multinn.errors import DescriptionError as DescriptionError
from multinn.errors import DivergenceError as DivergenceError
from multinn.errors import ForeignFileError as ForeignFileError
from multinn.errors import InvalidCheckpointError as InvalidCheckpointError
from multinn.errors import NewerCheckpointError as NewerCheckpointError
from multinn.errors import NotInitializedError as NotInitializedError
from multinn.errors import TraceError as TraceError
from multinn.host.former_modules import install as _install_former_modules
from multinn.host.version import own_version as _own_version
from multinn.layers import ELU as ELU
from multinn.layers import GELU as GELU
from multinn.layers import GRU as GRU
from multinn.layers import LSTM as LSTM
from multinn.layers import Add as Add
from multinn.layers import AveragePool1D as AveragePool1D
from multinn.layers import AveragePool2D as AveragePool2D
from multinn.layers import BatchNorm as BatchNorm
from multinn.layers import Bidirectional as Bidirectional
from multinn.layers import ChannelsLast as ChannelsLast
from multinn.layers import Columns as Columns
from multinn.layers import Concatenate as Concatenate
from multinn.layers import Container as Container
from multinn.layers import Conv1D as Conv1D
from multinn.layers import Conv2D as Conv2D
from multinn.layers import ConvTranspose1D as ConvTranspose1D
from multinn.layers import ConvTranspose2D as ConvTranspose2D
from multinn.layers import Dense as Dense
from multinn.layers import Dropout as Dropout
from multinn.layers import Embedding as Embedding
from multinn.layers import Flatten as Flatten
from multinn.layers import GlobalAveragePool1D as GlobalAveragePool1D
from multinn.layers import GlobalAveragePool2D as GlobalAveragePool2D
from multinn.layers import GlobalMaxPool1D as GlobalMaxPool1D
from multinn.layers import GlobalMaxPool2D as GlobalMaxPool2D
from multinn.layers import GroupNorm as GroupNorm
from multinn.layers import HardSwish as HardSwish
from multinn.layers import Identity as Identity
from multinn.layers import Layer as Layer
from multinn.layers import LayerNorm as LayerNorm
from multinn.layers import LeakyReLU as LeakyReLU
from multinn.layers import Masked as Masked
from multinn.layers import Masking as Masking
from multinn.layers import MaxPool1D as MaxPool1D
from multinn.layers import MaxPool2D as MaxPool2D
from multinn.layers import Mish as Mish
from multinn.layers import MultiHeadAttention as MultiHeadAttention
from multinn.layers import Parallel as Parallel
from multinn.layers import PositionalEncoding as PositionalEncoding
from multinn.layers import PositionEmbedding as PositionEmbedding
from multinn.layers import PReLU as PReLU
from multinn.layers import RelativePositionBias as RelativePositionBias
from multinn.layers import ReLU as ReLU
from multinn.layers import ReLU6 as ReLU6
from multinn.layers import Rescale as Rescale
from multinn.layers import Residual as Residual
from multinn.layers import RMSNorm as RMSNorm
from multinn.layers import Select as Select
from multinn.layers import Sequential as Sequential
from multinn.layers import Sigmoid as Sigmoid
from multinn.layers import SiLU as SiLU
from multinn.layers import SimpleRNN as SimpleRNN
from multinn.layers import Softmax as Softmax
from multinn.layers import Softplus as Softplus
from multinn.layers import Softsign as Softsign
from multinn.layers import SpatialDropout as SpatialDropout
from multinn.layers import Tanh as Tanh
from multinn.layers import TransformerBlock as TransformerBlock
from multinn.losses import CTC as CTC
from multinn.losses import BinaryCrossEntropy as BinaryCrossEntropy
from multinn.losses import BinaryFocal as BinaryFocal
from multinn.losses import CosineSimilarity as CosineSimilarity
from multinn.losses import Focal as Focal
from multinn.losses import HalfSquaredError as HalfSquaredError
from multinn.losses import Heads as Heads
from multinn.losses import Hinge as Hinge
from multinn.losses import Huber as Huber
from multinn.losses import KLDivergence as KLDivergence
from multinn.losses import Loss as Loss
from multinn.losses import LossOfEntries as LossOfEntries
from multinn.losses import MeanAbsoluteError as MeanAbsoluteError
from multinn.losses import MeanSquaredError as MeanSquaredError
from multinn.losses import MultiClassHinge as MultiClassHinge
from multinn.losses import Poisson as Poisson
from multinn.losses import SoftmaxCrossEntropy as SoftmaxCrossEntropy
from multinn.metrics import F1 as F1
from multinn.metrics import R2 as R2
from multinn.metrics import Accuracy as Accuracy
from multinn.metrics import CombinedMetric as CombinedMetric
from multinn.metrics import OfHead as OfHead
from multinn.metrics import Precision as Precision
from multinn.metrics import Recall as Recall
from multinn.metrics import TopK as TopK
from multinn.metrics import accuracy as accuracy
from multinn.metrics import binary_accuracy as binary_accuracy
from multinn.optimizers import LAMB as LAMB
from multinn.optimizers import LARS as LARS
from multinn.optimizers import SGD as SGD
from multinn.optimizers import AccumulateGradients as AccumulateGradients
from multinn.optimizers import Adadelta as Adadelta
from multinn.optimizers import Adagrad as Adagrad
from multinn.optimizers import Adam as Adam
from multinn.optimizers import AdamW as AdamW
from multinn.optimizers import AMSGrad as AMSGrad
from multinn.optimizers import ClipByGlobalNorm as ClipByGlobalNorm
from multinn.optimizers import ExponentialMovingAverage as ExponentialMovingAverage
from multinn.optimizers import Freeze as Freeze
from multinn.optimizers import Lion as Lion
from multinn.optimizers import NAdam as NAdam
from multinn.optimizers import Optimizer as Optimizer
from multinn.optimizers import RAdam as RAdam
from multinn.optimizers import RMSProp as RMSProp
from multinn.optimizers import ScaledLearningRate as ScaledLearningRate
from multinn.tracing.trace import Trace as Trace
from multinn.training.batches import ShuffledBatches as ShuffledBatches
from multinn.training.compiled import Seconds as Seconds
from multinn.training.gradients import value_and_gradients as value_and_gradients
from multinn.training.history import History as History
from multinn.training.program import Examples as Examples
from multinn.training.range_test import LearningRateRange as LearningRateRange
from multinn.training.trainer import Trainer as Trainer
from multinn.training.trainer import trace_steps as trace_steps

__version__ = _own_version()

__all__ = [
    name
    for name, value in globals().items()
    if name == "__version__" or not (name.startswith("_") or isinstance(value, _ModuleType))
]

for _module in (layers, losses, optimizers, metrics):
    _register_module(_module)
for _module in (schedules, initializers):
    _register_module(_module, f"{_module.__name__.rpartition('.')[2]}.")
_register_module(metrics, kind=_inspect.isfunction)
_install_former_modules()
