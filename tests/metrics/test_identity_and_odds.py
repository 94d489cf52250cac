import numpy as np
import pytest
from scipy.special import softmax

from dcgan_tf.errors import UserError
from dcgan_tf.metrics.identity import identity
from dcgan_tf.metrics.odds import log_odds, probability


def test_identity_of_points_on_a_line():
    originals = np.array([[0.0], [10.0], [20.0]])
    # Own distances 1, 2 and 18; to the others 9 and 19, 12 and 8, 2 and 8: the third is nearest to the second.
    found = identity(originals, np.array([[1.0], [12.0], [2.0]]))
    ratios = np.array([1 / 14, 2 / 10, 18 / 5])
    assert found.ratio.value == pytest.approx(ratios.mean())
    assert found.ratio.standard_error == pytest.approx(ratios.std(ddof=1) / 3**0.5)
    assert found.own_nearest.value == pytest.approx(2 / 3)


def test_identity_of_no_edit_and_of_anybody():
    originals = np.random.default_rng(0).normal(size=(64, 128))
    nothing = identity(originals, originals)
    assert nothing.ratio.value == pytest.approx(0, abs=1e-6)
    assert nothing.own_nearest.value == 1
    anybody = identity(originals, np.random.default_rng(1).normal(size=(64, 128)))
    assert anybody.ratio.value == pytest.approx(1, abs=0.03)
    assert anybody.own_nearest.value < 0.1


def test_twins_are_not_told_apart():
    """An original that is no nearer than another one is not the nearest."""
    originals = np.array([[0.0], [0.0], [9.0]])
    assert identity(originals, np.array([[1.0], [1.0], [9.0]])).own_nearest.value == pytest.approx(1 / 3)
    with pytest.raises(UserError, match="identity: expected at least 2 samples"):
        identity(np.zeros((1, 2)), np.zeros((1, 2)))


def test_probability_and_log_odds_are_those_of_softmax():
    logits = np.random.default_rng(0).normal(0, 5, (50, 4)).astype(np.float32)
    np.testing.assert_allclose(probability(logits, 2), softmax(logits.astype(float), 1)[:, 2], rtol=1e-9)
    of_class = softmax(logits.astype(float), 1)[:, 2]
    np.testing.assert_allclose(log_odds(logits, 2), np.log(of_class / (1 - of_class)), rtol=1e-6)
    # Where the probability has leveled off, the odds still grow.
    assert log_odds(np.array([[0.0, 900.0], [0.0, 901.0]]), 1).tolist() == [900, 901]
    assert probability(np.array([[0.0, 900.0], [0.0, -900.0]]), 1).tolist() == [1, 0]
