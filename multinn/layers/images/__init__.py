"""Convolution and pooling of images, and of sequences as images of height 1."""

from multinn.layers.images.channels_last import ChannelsLast as ChannelsLast
from multinn.layers.images.convolution import Conv1D as Conv1D
from multinn.layers.images.convolution import Conv2D as Conv2D
from multinn.layers.images.convolution_transpose import ConvTranspose2D as ConvTranspose2D
from multinn.layers.images.global_pooling import GlobalAveragePool1D as GlobalAveragePool1D
from multinn.layers.images.global_pooling import GlobalAveragePool2D as GlobalAveragePool2D
from multinn.layers.images.global_pooling import GlobalMaxPool1D as GlobalMaxPool1D
from multinn.layers.images.pooling import AveragePool1D as AveragePool1D
from multinn.layers.images.pooling import AveragePool2D as AveragePool2D
from multinn.layers.images.pooling import MaxPool1D as MaxPool1D
from multinn.layers.images.pooling import MaxPool2D as MaxPool2D
