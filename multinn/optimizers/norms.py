"""Lengths of gradients and parameters."""

from backends import Array, Backend, Tree, tree


def global_norm(backend: Backend, arrays: Tree) -> Array:
    """Return the Euclidean norm of all leaves taken as one vector, an array without axes.

    In units of the largest entry, so that no square overflows.
    """
    xp = backend.xp
    leaves = tree.leaves(arrays)
    largest = xp.max(xp.stack([xp.max(xp.abs(g)) for g in leaves]))
    unit = xp.where(largest > 0.0, largest, xp.ones_like(largest))
    squares = [xp.sum((g / unit) * (g / unit)) for g in leaves]
    return unit * xp.sqrt(sum(squares[1:], start=squares[0]))
