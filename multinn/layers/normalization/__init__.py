"""Normalization over the batch, the features or groups of them."""

from multinn.layers.normalization.batch_norm import BatchNorm as BatchNorm
from multinn.layers.normalization.layer_norm import GroupNorm as GroupNorm
from multinn.layers.normalization.layer_norm import LayerNorm as LayerNorm
from multinn.layers.normalization.layer_norm import RMSNorm as RMSNorm
