"""The rule by which fits of estimators stop."""

import pytest

from multinn.sklearn.stopping import Improvement


@pytest.mark.parametrize("patience", [1, 5])
@pytest.mark.parametrize("without", [0, 1])
def test_quiet_epochs_are_those_up_to_the_first_that_may_be_the_last(without, patience):
    improvement = Improvement(best=0.0, count=without)
    quiet, epochs = improvement.epochs_to_exceed(patience), 0
    while improvement.count <= patience:
        improvement.update(0.0, tol=0.1)
        epochs += 1
    assert quiet == epochs
