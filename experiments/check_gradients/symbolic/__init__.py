"""Computer algebra with the interface of an array library: arrays of expressions."""

from experiments.check_gradients.symbolic.backend import SymbolicBackend as SymbolicBackend
from experiments.check_gradients.symbolic.errors import FullError as FullError
from experiments.check_gradients.symbolic.errors import UnreachedError as UnreachedError
from experiments.check_gradients.symbolic.expressions import Expression as Expression
from experiments.check_gradients.symbolic.field import Field as Field
