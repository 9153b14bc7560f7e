"""Computer algebra behind the interface of an array library: arrays whose entries are expressions."""

from experiments.symbolic.backend import SymbolicBackend as SymbolicBackend
from experiments.symbolic.errors import FullError as FullError
from experiments.symbolic.errors import UnreachedError as UnreachedError
from experiments.symbolic.expressions import Expression as Expression
from experiments.symbolic.field import Field as Field
