"""Training: everything between a call of `Trainer.fit` and a layer."""

from multinn.training.gradients import value_and_gradients as value_and_gradients
from multinn.training.program import Examples as Examples
from multinn.training.program import ModelState as ModelState
from multinn.training.program import TrainingProgram as TrainingProgram
from multinn.training.program import TrainingState as TrainingState
