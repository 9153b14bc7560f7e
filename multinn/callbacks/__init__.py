"""Callbacks, which a trainer calls at each report of a run."""

from multinn.callbacks.csv_logger import CSVLogger as CSVLogger
from multinn.callbacks.early_stopping import EarlyStopping as EarlyStopping
from multinn.callbacks.plateau import ReduceLearningRateOnPlateau as ReduceLearningRateOnPlateau
from multinn.callbacks.save_checkpoint import SaveCheckpoint as SaveCheckpoint
from multinn.callbacks.tensorboard import TensorBoard as TensorBoard
from multinn.training.callback import Callback as Callback
