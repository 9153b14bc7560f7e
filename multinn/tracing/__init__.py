"""Traces: recorded training steps, and the page on which one can step through them."""

from multinn.tracing.page import register_formulas as register_formulas
from multinn.tracing.trace import Trace as Trace
