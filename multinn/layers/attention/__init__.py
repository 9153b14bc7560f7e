"""Attention, positions, and the transformer block."""

from multinn.layers.attention.multi_head import MultiHeadAttention as MultiHeadAttention
from multinn.layers.attention.positions import PositionalEncoding as PositionalEncoding
from multinn.layers.attention.positions import PositionEmbedding as PositionEmbedding
from multinn.layers.attention.positions import RelativePositionBias as RelativePositionBias
from multinn.layers.attention.transformer import TransformerBlock as TransformerBlock
