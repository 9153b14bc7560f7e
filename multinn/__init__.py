"""Neural networks whose every gradient is derived by hand, written once, on any array library."""

import inspect as _inspect

import backends as _backends

if not hasattr(_backends, "EagerBackend"):
    raise ImportError(
        "multinn needs its own package backends, but another package of that name comes first on "
        f"sys.path: {_backends!r}; rename that package, or remove its folder from sys.path"
    )

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
from multinn.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    ReduceLearningRateOnPlateau,
    SaveCheckpoint,
    TensorBoard,
)
from multinn.descriptions.registry import register
from multinn.descriptions.registry import register_module as _register_module
from multinn.errors import (
    CheckpointError,
    DamagedCheckpointError,
    DescriptionError,
    DivergenceError,
    ForeignFileError,
    InvalidCheckpointError,
    NewerCheckpointError,
    NotInitializedError,
)
from multinn.host.former_modules import install as _install_former_modules
from multinn.host.version import own_version as _own_version
from multinn.layers import (
    ELU,
    GELU,
    GRU,
    LSTM,
    Add,
    AveragePool1D,
    AveragePool2D,
    BatchNorm,
    Bidirectional,
    ChannelsLast,
    Concatenate,
    Container,
    Conv1D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePool1D,
    GlobalAveragePool2D,
    GlobalMaxPool1D,
    GroupNorm,
    HardSwish,
    Identity,
    Layer,
    LayerNorm,
    LeakyReLU,
    Masked,
    Masking,
    MaxPool1D,
    MaxPool2D,
    Mish,
    MultiHeadAttention,
    Parallel,
    PositionalEncoding,
    PositionEmbedding,
    PReLU,
    ReLU,
    ReLU6,
    Rescale,
    Residual,
    RMSNorm,
    Sequential,
    Sigmoid,
    SiLU,
    SimpleRNN,
    Softmax,
    Softplus,
    Softsign,
    SpatialDropout,
    Tanh,
    TransformerBlock,
)
from multinn.losses import (
    CTC,
    BinaryCrossEntropy,
    BinaryFocal,
    CosineSimilarity,
    Focal,
    HalfSquaredError,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    MultiClassHinge,
    Poisson,
    SoftmaxCrossEntropy,
)
from multinn.metrics import (
    F1,
    R2,
    Accuracy,
    CombinedMetric,
    Precision,
    Recall,
    TopK,
    accuracy,
    binary_accuracy,
)
from multinn.optimizers import (
    LAMB,
    SGD,
    AccumulateGradients,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    ClipByGlobalNorm,
    ExponentialMovingAverage,
    Freeze,
    Lion,
    NAdam,
    Optimizer,
    RMSProp,
    ScaledLearningRate,
)
from multinn.training.batches import ShuffledBatches
from multinn.training.compiled import Seconds
from multinn.training.history import History
from multinn.training.program import Examples, value_and_gradients
from multinn.training.trainer import Trainer

__version__ = _own_version()

__all__ = [
    "CTC",
    "ELU",
    "F1",
    "GELU",
    "GRU",
    "LAMB",
    "LSTM",
    "R2",
    "SGD",
    "AccumulateGradients",
    "Accuracy",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Add",
    "AveragePool1D",
    "AveragePool2D",
    "BatchNorm",
    "Bidirectional",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "CSVLogger",
    "Callback",
    "ChannelsLast",
    "CheckpointError",
    "ClipByGlobalNorm",
    "CombinedMetric",
    "Concatenate",
    "Container",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "CosineSimilarity",
    "DamagedCheckpointError",
    "Dense",
    "DescriptionError",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "Examples",
    "ExponentialMovingAverage",
    "Flatten",
    "Focal",
    "ForeignFileError",
    "Freeze",
    "GlobalAveragePool1D",
    "GlobalAveragePool2D",
    "GlobalMaxPool1D",
    "GroupNorm",
    "HalfSquaredError",
    "HardSwish",
    "Hinge",
    "History",
    "Huber",
    "Identity",
    "InvalidCheckpointError",
    "KLDivergence",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Lion",
    "Loss",
    "Masked",
    "Masking",
    "MaxPool1D",
    "MaxPool2D",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Mish",
    "MultiClassHinge",
    "MultiHeadAttention",
    "NAdam",
    "NewerCheckpointError",
    "NotInitializedError",
    "Optimizer",
    "PReLU",
    "Parallel",
    "Poisson",
    "PositionEmbedding",
    "PositionalEncoding",
    "Precision",
    "RMSNorm",
    "RMSProp",
    "ReLU",
    "ReLU6",
    "Recall",
    "ReduceLearningRateOnPlateau",
    "Rescale",
    "Residual",
    "SaveCheckpoint",
    "ScaledLearningRate",
    "Seconds",
    "Sequential",
    "ShuffledBatches",
    "SiLU",
    "Sigmoid",
    "SimpleRNN",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Softsign",
    "SpatialDropout",
    "Tanh",
    "TensorBoard",
    "TopK",
    "Trainer",
    "TransformerBlock",
    "__version__",
    "accuracy",
    "binary_accuracy",
    "register",
    "value_and_gradients",
]

for _module in (layers, losses, optimizers, metrics):
    _register_module(_module)
for _module in (schedules, initializers):
    _register_module(_module, f"{_module.__name__.rpartition('.')[2]}.")
_register_module(metrics, kind=_inspect.isfunction)
_install_former_modules()
