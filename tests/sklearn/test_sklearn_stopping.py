"""The rule by which fits of estimators stop."""

import pytest

from multinn.sklearn.stopping import Improvement


@pytest.mark.parametrize("patience", [1, 5])
@pytest.mark.parametrize("without", [0, 1])
def test_epochs_to_exceed_are_the_epochs_until_a_fit_stops(without, patience):
    improvement = Improvement(best=0.0, count=without)
    expected, epochs = improvement.epochs_to_exceed(patience), 0
    while improvement.count <= patience:
        improvement.update(0.0, tol=0.1)
        epochs += 1
    assert epochs == expected
