"""A network in training on a page in the browser, step by step."""

from experiments.step.server import serve as serve
