import math

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.objectives.losses import LOSSES, relative_logits

# logits 0, log 3 and -log 3 are the probabilities 1/2, 3/4 and 1/4.
LOGITS = tf.constant([0.0, math.log(3), -math.log(3)])


LN = np.log
# (real term, fake term, G's term) at the three logits
BY_HAND = {
    "non_saturating": (-LN([1 / 2, 3 / 4, 1 / 4]), -LN([1 / 2, 1 / 4, 3 / 4]), -LN([1 / 2, 3 / 4, 1 / 4])),
    "minimax": (-LN([1 / 2, 3 / 4, 1 / 4]), -LN([1 / 2, 1 / 4, 3 / 4]), LN([1 / 2, 1 / 4, 3 / 4])),
    # (x - 1)^2 / 2, x^2 / 2, (x - 1)^2 / 2 with log 3 = 1.0986123
    "least_squares": ([0.5, 0.0048622, 2.2020869], [0, 0.6034745, 0.6034745], [0.5, 0.0048622, 2.2020869]),
    "hinge": ([1, 0, 2.0986123], [1, 2.0986123, 0], [0, -1.0986123, 1.0986123]),
    "wasserstein": ([0, -1.0986123, 1.0986123], [0, 1.0986123, -1.0986123], [0, -1.0986123, 1.0986123]),
    "relativistic_average": (-LN([1 / 2, 3 / 4, 1 / 4]), -LN([1 / 2, 1 / 4, 3 / 4]), -LN([1 / 2, 3 / 4, 1 / 4])),
}


@pytest.mark.parametrize("name", LOSSES)
def test_terms_by_hand(name):
    loss = LOSSES[name]
    for term, expected in zip(
        (loss.discriminator_real, loss.discriminator_fake, loss.generator), BY_HAND[name], strict=True
    ):
        np.testing.assert_allclose(term(LOGITS), expected, rtol=1e-4, atol=1e-6)


def test_relativistic_average_by_hand():
    """Two images each: real logits 2 and 0 (mean 1), fake logits 1 and -1 (mean 0)."""
    real, fake = relative_logits(tf.constant([2.0, 0.0]), tf.constant([1.0, -1.0]))
    np.testing.assert_allclose(real, [2, 0])
    np.testing.assert_allclose(fake, [0, -2])
    loss = LOSSES["relativistic_average"]
    # softplus(2) = 2.1269280, softplus(-2) = 0.1269280, softplus(0) = log 2 = 0.6931472
    np.testing.assert_allclose(loss.discriminator_real(real), [0.1269280, 0.6931472], rtol=1e-6)
    np.testing.assert_allclose(loss.discriminator_fake(fake), [0.6931472, 0.1269280], rtol=1e-6)
    np.testing.assert_allclose(loss.generator(fake), [0.6931472, 2.1269280], rtol=1e-6)
    np.testing.assert_allclose(loss.generator_real(real), [2.1269280, 0.6931472], rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("term", ["discriminator_real", "discriminator_fake", "generator"])
def test_gradients_match_numerical_differences(name, term):
    function = getattr(LOSSES[name], term)
    theoretical, numerical = tf.test.compute_gradient(function, [tf.constant([-2.2, 0.1, 3.0], tf.float64)])
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-8)


def test_only_the_saturating_loss_loses_its_gradient_where_the_discriminator_is_sure():
    sure_of_fake = tf.constant(-20.0)
    gradients = {}
    for name in ("non_saturating", "minimax"):
        loss = LOSSES[name]
        with tf.GradientTape() as tape:
            tape.watch(sure_of_fake)
            value = loss.generator(sure_of_fake)
        gradients[name] = abs(float(tape.gradient(value, sure_of_fake)))
    assert gradients["non_saturating"] > 0.99
    assert gradients["minimax"] < 1e-8


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name):
    extreme = tf.constant([-1e4, 1e4])
    for term in filter(None, LOSSES[name]):
        assert np.all(np.isfinite(term(extreme)))
