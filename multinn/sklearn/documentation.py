"""The sections of the estimators' docstrings that list all parameters and attributes.

They are in the format of numpydoc, which scikit-learn reads for the tooltips of its diagrams.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from multinn.sklearn.network import ACTIVATIONS

Entries = Mapping[str, tuple[str, str]]  # the type and the meaning, by name
Class = TypeVar("Class", bound=type)

_PARAMETERS: Final[Entries] = {
    "hidden_layer_sizes": ("int or sequence of int", "The number of units of each hidden layer."),
    "activation": (
        "str, layer, or sequence of these",
        "The activation of all hidden layers, or of each: a layer, such as ``multinn.Tanh()``, or one "
        f"of {', '.join(map(repr, ACTIVATIONS))}.",
    ),
    "solver": (
        "{'adam', 'sgd', 'lbfgs'}",
        "Adam, or gradient descent with momentum, on batches; or L-BFGS on all examples.",
    ),
    "alpha": ("float", "The strength of the penalty alpha / (2 n) Σ W² on the weights."),
    "batch_size": (
        "int or 'auto'",
        "The number of examples in a batch of adam and sgd; 'auto' is 200, or all if there are fewer.",
    ),
    "learning_rate": (
        "{'constant', 'invscaling', 'adaptive'}",
        "The learning rate of sgd: always learning_rate_init; learning_rate_init / (t_ + 1)^power_t; or "
        "divided by 5 whenever the fit would stop, until it is below 1e-6.",
    ),
    "learning_rate_init": ("float", "The learning rate of adam, and the first one of sgd."),
    "power_t": ("float", "The exponent of learning_rate='invscaling'."),
    "max_iter": ("int", "The most epochs of adam and sgd, or iterations of lbfgs."),
    "shuffle": ("bool", "Whether adam and sgd take the examples in another random order in each epoch."),
    "random_state": (
        "int, RandomState or None",
        "The source of the first weights, of the held-out part and of the order of examples. The same "
        "int gives the same fit.",
    ),
    "tol": (
        "float",
        "The least improvement of the loss, or of the score with early_stopping, that counts. lbfgs "
        "stops when no entry of the gradient is larger than tol.",
    ),
    "verbose": ("bool", "Whether to show the progress of a fit."),
    "warm_start": ("bool", "Whether fit continues where the last fit ended."),
    "momentum": ("float", "The momentum of sgd, from 0 to 1."),
    "nesterovs_momentum": ("bool", "Whether the momentum of sgd is that of Nesterov."),
    "early_stopping": (
        "bool",
        "Whether adam and sgd hold out a part of the examples, stop when its score stops improving, and "
        "restore the parameters with the best score. The part is stratified by class where possible.",
    ),
    "validation_fraction": ("float", "The fraction of examples that early_stopping holds out."),
    "beta_1": ("float", "The decay of Adam's average of gradients, from 0 to below 1."),
    "beta_2": ("float", "The decay of Adam's average of squared gradients, from 0 to below 1."),
    "epsilon": ("float", "What Adam adds to the root of the average of squared gradients."),
    "n_iter_no_change": (
        "int or inf",
        "The number of consecutive epochs without an improvement after which adam and sgd stop.",
    ),
    "max_fun": ("int", "The most evaluations of the loss by lbfgs."),
    "dropout": (
        "float or sequence of float",
        "The rate of dropout after each hidden layer, or one rate for each of them.",
    ),
    "batch_norm": (
        "bool",
        "Whether each hidden layer is normalized over the batch, before its activation.",
    ),
    "layer_norm": (
        "bool",
        "Whether each hidden layer is normalized over its units, before its activation.",
    ),
    "categorical_features": (
        "None, 'from_dtype', or sequence of int, str or bool",
        "The features that are categories, text or numbers: their indices, their names in a table, or a "
        "mask. 'from_dtype' takes the columns of a table whose dtype is categorical. Each category has "
        "an embedding, a vector that is trained. Missing entries, such as None, are a category of their "
        "own. A category that no training example has gets the mean embedding of these examples.",
    ),
    "embedding_size": (
        "int, dict or None",
        "The length of the embeddings: of all, or by the index or name of a feature. None is the number "
        "of categories if there are at most 40, else three times its fourth root, rounded up. "
        "Embeddings as long as there are categories begin as a one-hot encoding, and others with random "
        "numbers.",
    ),
    "callbacks": (
        "callback, callable, list of these, or None",
        "A callback, such as ``multinn.EarlyStopping()``; or a function of the estimator, which is "
        "called after each epoch and returns True to end the fit. Records have ``validation_loss`` "
        "and, with early_stopping, ``validation_score``.",
    ),
    "backend": (
        "str, Backend or None",
        "The array library, such as 'jax'; None chooses as ``backends.get_backend`` does.",
    ),
}
_ATTRIBUTES: Final[Entries] = {
    "coefs_": (
        "list of arrays (inputs, units)",
        "The weights of each dense layer. Assign to an entry, or to all, to set them. The inputs of the "
        "first layer are the features that are numbers, and then the embeddings of the others.",
    ),
    "intercepts_": (
        "list of arrays (units,)",
        "The biases of each dense layer. Assign to an entry, or to all, to set them.",
    ),
    "is_categorical_": (
        "array of bool (features,) or None",
        "Whether each feature is categorical; None if none is.",
    ),
    "categories_": (
        "list of arrays (categories,)",
        "The categories of each categorical feature in ascending order, text or float64, without the "
        "missing one.",
    ),
    "embeddings_": (
        "list of arrays (categories, length)",
        "The embeddings of the categories of each categorical feature.",
    ),
    "loss_": ("float", "The last loss, with the penalty."),
    "best_loss_": ("float or None", "The smallest loss; None with early_stopping. Not with lbfgs."),
    "loss_curve_": ("list of float", "The loss after each epoch. Not with lbfgs."),
    "validation_loss_curve_": (
        "list of float or None",
        "The loss on the validation data after each epoch; None without such data. Not with lbfgs.",
    ),
    "validation_scores_": (
        "list of float or None",
        "The score on the validation data after each epoch; None without early_stopping. Not with "
        "lbfgs.",
    ),
    "best_validation_score_": (
        "float or None",
        "The best of validation_scores_; None without early_stopping. Not with lbfgs.",
    ),
    "converged_": ("bool", "Whether the last fit stopped because there was no more improvement."),
    "n_iter_": ("int", "The number of epochs, or of iterations of lbfgs, in the last fit."),
    "t_": ("int", "The number of examples that adam and sgd have seen, counted in every epoch."),
    "n_features_in_": ("int", "The number of features."),
    "feature_names_in_": (
        "array of str (features,)",
        "The names of the features; only if X was a table whose columns all have names.",
    ),
    "n_layers_": ("int", "The number of layers, with that of the inputs."),
    "n_outputs_": ("int", "The number of outputs."),
    "out_activation_": ("str", "The name of the activation that turns outputs into predictions."),
    "trainer_": ("Trainer", "The trainer, with the model and its state."),
    "network_": (
        "tuple",
        "The trained network for use elsewhere: a model of plain layers, its parameters, and the state "
        "of its layers.",
    ),
}


def document(parameters: Entries, attributes: Entries) -> Callable[[Class], Class]:
    """Return a decorator that adds two sections to a docstring, before its example.

    Args:
        parameters: the parameters that only this class has, or describes otherwise.
        attributes: the attributes that only this class has.
    """

    def decorate(kind: Class) -> Class:
        text, prompt, example = inspect.cleandoc(kind.__doc__ or "").partition(">>> ")
        meanings = {**_PARAMETERS, **parameters}
        described = [
            _entry(name, f"{meanings[name][0]}, default={parameter.default!r}", meanings[name][1])
            for name, parameter in inspect.signature(kind).parameters.items()
        ]
        learned = [_entry(name, *each) for name, each in {**attributes, **_ATTRIBUTES}.items()]
        sections = {"Parameters": described, "Attributes": learned, "Examples": [prompt + example]}
        written = [[title, "-" * len(title), *lines] for title, lines in sections.items()]
        kind.__doc__ = text + "\n\n".join("\n".join(lines) for lines in written)
        return kind

    return decorate


def _entry(name: str, kind: str, meaning: str) -> str:
    margin = " " * 4
    lines = textwrap.fill(
        meaning, 100, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False
    )
    return f"{name} : {kind}\n{lines}"
