"""A compiler for NumPy: record the calls of a pure function once, replay them into fixed buffers.

Eager NumPy spends much of a small training step on Python and on fresh memory. As the functions that
a backend compiles are pure, a run of one on stand-ins for arrays tells all that it does. In the order
in which it happens:

    recording, scanning   the function runs once, and its calls and loops are noted
    scopes                what each belongs to: the function, or the body of a loop
    flattening            small arrays that a loop updates alike are carried as one vector
    schedule              what the results need, in order, and how long each array is needed
    memory                arrays get buffers, which are reused as soon as nothing needs what is in them
    calls, source         each call is written down so that it fills its buffer
    writing, program      the whole as one Python function, which is replayed

Views are made once, elementwise calls work in place where they may, a loop's carry stays where it is.
The same arithmetic on the same numbers in the same order: results are equal to the bit to those of the
eager path, ``numpy:eager``, but for what differs within NumPy, too: the sign of a NaN, and the last bit
of a product of two complex numbers without axes.
"""

from backends.numpy_jit.program import compile_function as compile_function
from backends.numpy_jit.recording import is_recorded as is_recorded
from backends.numpy_jit.recording import record as record
from backends.numpy_jit.scanning import record_scan as record_scan
