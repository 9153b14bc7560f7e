"""Gradient cases of normalizations and of SpatialDropout."""

from multinn import BatchNorm, GroupNorm, LayerNorm, RMSNorm, SpatialDropout
from multinn.testing.gradient_cases.base import LayerCase

CASES: tuple[LayerCase, ...] = (
    LayerCase("LayerNorm", LayerNorm(), (4, 6)),
    LayerCase("LayerNorm 3-D", LayerNorm(), (2, 3, 5)),
    LayerCase("LayerNorm epsilon 0.1", LayerNorm(0.1), (4, 6)),
    LayerCase("LayerNorm two axes", LayerNorm(0.1, axes=2), (2, 2, 3, 2)),
    LayerCase("RMSNorm", RMSNorm(0.1), (2, 3, 4)),
    LayerCase("RMSNorm two axes", RMSNorm(0.1, axes=2), (3, 2, 3)),
    LayerCase("BatchNorm training", BatchNorm(), (6, 3), training=True),
    LayerCase("BatchNorm inference", BatchNorm(), (4, 3)),
    LayerCase("BatchNorm images", BatchNorm(epsilon=0.1), (2, 3, 2, 2), training=True),
    LayerCase("BatchNorm masked", BatchNorm(), (3, 4, 2), training=True, lengths=(4, 1, 2)),
    LayerCase("GroupNorm", GroupNorm(2, 0.1), (2, 6)),
    LayerCase(
        "GroupNorm images",
        GroupNorm(2),
        (2, 2, 3, 4),
        smaller=LayerCase("small", GroupNorm(2), (2, 1, 2, 4)),
    ),
    LayerCase("GroupNorm masked", GroupNorm(1, 0.1), (3, 4, 2), lengths=(4, 0, 2)),
    LayerCase("SpatialDropout training", SpatialDropout(0.4), (2, 2, 2, 3), training=True),
)
