"""Gradient checks of layers, losses and backends; training does not use this package."""

from multinn.testing.check import GradientTable as GradientTable
from multinn.testing.check import check_gradients as check_gradients
