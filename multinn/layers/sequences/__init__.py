"""Layers for sequences: embedding and recurrence."""

from multinn.layers.sequences.bidirectional import Bidirectional as Bidirectional
from multinn.layers.sequences.embedding import Embedding as Embedding
from multinn.layers.sequences.gru import GRU as GRU
from multinn.layers.sequences.lstm import LSTM as LSTM
from multinn.layers.sequences.simple_rnn import SimpleRNN as SimpleRNN
