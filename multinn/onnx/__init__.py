"""Export of models at inference, with their weights, to ONNX, a format that many runtimes read.

>>> import numpy as np
>>> from multinn import Dense, ReLU, Sequential, onnx
>>> model = Sequential([Dense(8), ReLU(), Dense(3)])
>>> params, _ = model.init(np.random.default_rng(0), (4,))
>>> onnx.export((model, params), "model.onnx", input_shape=(4,))  # doctest: +SKIP
"""

from multinn.onnx import activations as activations
from multinn.onnx import attention as attention
from multinn.onnx import basic as basic
from multinn.onnx import containers as containers
from multinn.onnx import images as images
from multinn.onnx import normalization as normalization
from multinn.onnx import sequences as sequences
from multinn.onnx.export import export as export
from multinn.onnx.graph import Graph as Graph
from multinn.onnx.graph import Value as Value
from multinn.onnx.model import to_onnx as to_onnx
from multinn.onnx.registry import convert_child as convert_child
from multinn.onnx.registry import converts as converts
from multinn.onnx.registry import has_converter as has_converter
