"""Estimators with the interface of scikit-learn's multilayer perceptrons."""

from multinn.sklearn.classifier import MLPClassifier as MLPClassifier
from multinn.sklearn.regressor import MLPRegressor as MLPRegressor
