"""Layers: hyperparameters, a forward pass, and its hand-derived backward pass, side by side."""

from multinn.layers.activations import ELU as ELU
from multinn.layers.activations import GELU as GELU
from multinn.layers.activations import LeakyReLU as LeakyReLU
from multinn.layers.activations import ReLU as ReLU
from multinn.layers.activations import Sigmoid as Sigmoid
from multinn.layers.activations import SiLU as SiLU
from multinn.layers.activations import Softmax as Softmax
from multinn.layers.activations import Softplus as Softplus
from multinn.layers.activations import Tanh as Tanh
from multinn.layers.base import Layer as Layer
from multinn.layers.channels_last import ChannelsLast as ChannelsLast
from multinn.layers.convolution import Conv2D as Conv2D
from multinn.layers.dense import Dense as Dense
from multinn.layers.dropout import Dropout as Dropout
from multinn.layers.flatten import Flatten as Flatten
from multinn.layers.normalization import LayerNorm as LayerNorm
from multinn.layers.pooling import AveragePool2D as AveragePool2D
from multinn.layers.pooling import MaxPool2D as MaxPool2D
from multinn.layers.rescale import Rescale as Rescale
from multinn.layers.sequential import Sequential as Sequential
