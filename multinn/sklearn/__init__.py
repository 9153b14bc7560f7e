"""Estimators with the interface of scikit-learn's multilayer perceptrons."""

from multinn.host.extras import extra as _extra

with _extra("sklearn", "multinn.sklearn needs scikit-learn"):
    import sklearn as _sklearn  # noqa: F401
from multinn.descriptions.registry import register_module as _register_module
from multinn.sklearn import export as _export
from multinn.sklearn import losses as _losses
from multinn.sklearn import network as _network
from multinn.sklearn import optimizers as _optimizers
from multinn.sklearn.classifier import MLPClassifier as MLPClassifier
from multinn.sklearn.onnx_pipelines import register_skl2onnx as register_skl2onnx
from multinn.sklearn.regressor import MLPRegressor as MLPRegressor

for _module in (_export, _losses, _network, _optimizers):
    _register_module(_module, "sklearn.")
