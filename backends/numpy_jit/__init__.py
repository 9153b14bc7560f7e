"""A compiler for NumPy: it records the calls of a pure function once, and replays them into buffers.

Eager NumPy spends much of a small training step on Python and on fresh memory. A backend compiles only
pure functions, so one run on stand-ins for arrays shows all that a function does. The modules, in the
order of their work:

    recording, scanning   run the function once, and record its calls and loops
    scopes                the function or loop body that a recorded value belongs to
    flattening            carries small arrays that a loop updates alike as one vector
    schedule              orders the calls that the results need, and finds how long arrays are needed
    padding               adds only the part of a padded array that is not padding
    memory                assigns arrays to buffers, which are reused as soon as possible
    calls, source         write each call so that it fills its buffer
    writing, program      write all calls as one Python function, which is replayed

Views are created once, elementwise calls work in place if possible, and a loop's carry stays in its
buffers. Results are equal to the bit to those of the eager backend ``numpy:eager``, because the same
operations are done in the same order. Excepted are two differences within NumPy itself: the sign of a
NaN, and the arithmetic of single complex numbers.
"""

from backends.numpy_jit.program import compile_function as compile_function
from backends.numpy_jit.recording import call as call
from backends.numpy_jit.recording import is_recorded as is_recorded
from backends.numpy_jit.scanning import record_scan as record_scan
