"""What a classifier knows of its targets: classes, or labels of which an example has any number."""

from copy import deepcopy
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from backends import HostArray
from multinn.sklearn.base import BaseMLP
from multinn.sklearn.values import describe_value


class ClassTargets(BaseMLP):
    """A multilayer perceptron whose targets are classes or labels."""

    def _check_y(self, y: HostArray, *, first: bool, incremental: bool) -> HostArray:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if first and not incremental:
            self._know(LabelBinarizer().fit(y))
            return y
        classes = unique_labels(y)
        if not incremental and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to "
                f"fit. Previously got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"'y' has {classes}. Name all classes there can be in the first call of partial_fit."
            )
        return y

    def _learn_classes(self, y: Any, classes: Any) -> None:
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            binarizer = LabelBinarizer().fit(y if several else classes)
            if several and not np.array_equal(np.unique(classes), binarizer.classes_):
                raise ValueError(
                    f"classes: expected the number of each column of y, {binarizer.classes_}, got "
                    f"{classes}"
                )
            self._know(binarizer)

    def _know(self, binarizer: LabelBinarizer) -> None:
        """Learn which targets there are."""
        self._label_binarizer = binarizer
        self.classes_ = binarizer.classes_
        if binarizer.y_type_.startswith("multilabel"):
            self._kind = "multilabel"
        else:
            self._kind = {1: "single", 2: "binary"}.get(len(self.classes_), "multiclass")

    def _take_targets(self, estimator: Any) -> None:
        self._know(deepcopy(estimator._label_binarizer))

    def _describe_targets(self) -> dict[str, Any]:
        return {
            "classes": describe_value(self.classes_, "classes_"),
            "dtype": self.classes_.dtype.str,
            "multilabel": self._kind == "multilabel",
            "sparse": bool(self._label_binarizer.sparse_input_),
        }

    def _restore_targets(self, description: Any) -> None:
        classes = np.array(description["classes"], description["dtype"])
        if classes.dtype.kind not in "biufU" or not np.array_equal(np.unique(classes), classes):
            raise ValueError(f"expected different classes, in order, got {classes!r}")
        targets: Any = classes
        if description["multilabel"]:
            targets = np.eye(len(classes), dtype=int)
        self._know(LabelBinarizer().fit(csr_matrix(targets) if description["sparse"] else targets))
        outputs = self._count_outputs(classes)
        several = self._kind == "multilabel" and self.out_activation_ == "softmax"
        if outputs != self.n_outputs_ or (outputs == 1 and len(classes) > 2) or several:
            raise ValueError(
                f"expected as many classes as {self.n_outputs_} outputs tell, got {classes}"
            )

    def _targets(self, y: HostArray) -> HostArray:
        if self.out_activation_ == "softmax":
            return np.searchsorted(self.classes_, y)
        return np.asarray(self._label_binarizer.transform(y)).reshape(y.shape[0], -1)

    def _count_outputs(self, y: HostArray) -> int:
        several = self.out_activation_ == "softmax" or self._kind == "multilabel"
        return len(self.classes_) if several else 1

    def _classes_of_one_output(self) -> int | None:
        of_one = self.out_activation_ == "logistic" and self._kind != "multilabel"
        return len(self.classes_) if of_one else None

    def _stratify(self, y: HostArray) -> HostArray | None:
        if self._kind == "multilabel":
            return None
        counts = np.unique(y, return_counts=True)[1]
        held_out = self._count_held_out(len(y))
        possible = counts.min() > 1 and len(counts) <= min(held_out, len(y) - held_out)
        return y if possible else None
