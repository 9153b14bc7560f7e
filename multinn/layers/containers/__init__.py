"""Layers made of layers: in sequence, or in parallel."""

from multinn.layers.containers.branches import Add as Add
from multinn.layers.containers.branches import Concatenate as Concatenate
from multinn.layers.containers.branches import Parallel as Parallel
from multinn.layers.containers.branches import Residual as Residual
from multinn.layers.containers.sequential import Container as Container
from multinn.layers.containers.sequential import Sequential as Sequential
