"""Import and export of the weights of PyTorch and Keras, as NumPy arrays for layers of the same shape.

Neither library is imported. Hyperparameters, such as the epsilon of a normalization, are not exchanged:
PyTorch and Keras have their own defaults.

>>> import numpy as np
>>> from multinn import Dense, ReLU, Sequential, exchange
>>> model = Sequential([Dense(3), ReLU(), Dense(2)])
>>> params, _ = model.init(np.random.default_rng(0), (4,))
>>> state_dict = exchange.to_state_dict(model, params)
>>> {name: values.shape for name, values in state_dict.items()}
{'0.weight': (3, 4), '0.bias': (3,), '2.weight': (2, 3), '2.bias': (2,)}
>>> again, _ = exchange.from_state_dict(model, state_dict, (4,))
>>> bool(np.all(again[2]["W"] == params[2]["W"]))
True
"""

from multinn.exchange.keras import from_keras_weights as from_keras_weights
from multinn.exchange.keras import to_keras_weights as to_keras_weights
from multinn.exchange.torch import from_state_dict as from_state_dict
from multinn.exchange.torch import to_state_dict as to_state_dict
