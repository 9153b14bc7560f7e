"""Activation functions."""

from multinn.layers.activations.rectifiers import ELU as ELU
from multinn.layers.activations.rectifiers import HardSwish as HardSwish
from multinn.layers.activations.rectifiers import LeakyReLU as LeakyReLU
from multinn.layers.activations.rectifiers import PReLU as PReLU
from multinn.layers.activations.rectifiers import ReLU as ReLU
from multinn.layers.activations.rectifiers import ReLU6 as ReLU6
from multinn.layers.activations.sigmoids import GELU as GELU
from multinn.layers.activations.sigmoids import Mish as Mish
from multinn.layers.activations.sigmoids import Sigmoid as Sigmoid
from multinn.layers.activations.sigmoids import SiLU as SiLU
from multinn.layers.activations.sigmoids import Softmax as Softmax
from multinn.layers.activations.sigmoids import Softplus as Softplus
from multinn.layers.activations.sigmoids import Softsign as Softsign
from multinn.layers.activations.sigmoids import Tanh as Tanh
