"""The test vectors of ONNX's operators, and the layers, losses and optimizers that compute the same."""

from tests.support.onnx_vectors import basic as basic
from tests.support.onnx_vectors import images as images
from tests.support.onnx_vectors import sequences as sequences
from tests.support.onnx_vectors import training as training
from tests.support.onnx_vectors.base import BUILDERS as BUILDERS
from tests.support.onnx_vectors.base import Inexpressible as Inexpressible
from tests.support.onnx_vectors.base import Run as Run
from tests.support.onnx_vectors.base import Vector as Vector
from tests.support.onnx_vectors.base import vectors as vectors
