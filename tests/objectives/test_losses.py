import math

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.objectives.losses import LOSSES

# logits 0, log 3 and -log 3 are the probabilities 1/2, 3/4 and 1/4.
LOGITS = tf.constant([0.0, math.log(3), -math.log(3)])


@pytest.mark.parametrize("name", LOSSES)
def test_discriminator_terms_are_binary_cross_entropy(name):
    loss = LOSSES[name]
    np.testing.assert_allclose(loss.discriminator_real(LOGITS), -np.log([1 / 2, 3 / 4, 1 / 4]), rtol=1e-6)
    np.testing.assert_allclose(loss.discriminator_fake(LOGITS), -np.log([1 / 2, 1 / 4, 3 / 4]), rtol=1e-6)


def test_generator_terms():
    np.testing.assert_allclose(LOSSES["non_saturating"].generator(LOGITS), -np.log([1 / 2, 3 / 4, 1 / 4]), rtol=1e-6)
    np.testing.assert_allclose(LOSSES["minimax"].generator(LOGITS), np.log([1 / 2, 1 / 4, 3 / 4]), rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("term", ["discriminator_real", "discriminator_fake", "generator"])
def test_gradients_match_numerical_differences(name, term):
    function = getattr(LOSSES[name], term)
    theoretical, numerical = tf.test.compute_gradient(function, [tf.constant([-2.0, 0.1, 3.0], tf.float64)])
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-8)


def test_only_the_saturating_loss_loses_its_gradient_where_the_discriminator_is_sure():
    sure_of_fake = tf.constant(-20.0)
    gradients = {}
    for name, loss in LOSSES.items():
        with tf.GradientTape() as tape:
            tape.watch(sure_of_fake)
            value = loss.generator(sure_of_fake)
        gradients[name] = abs(float(tape.gradient(value, sure_of_fake)))
    assert gradients["non_saturating"] > 0.99
    assert gradients["minimax"] < 1e-8


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name):
    extreme = tf.constant([-1e4, 1e4])
    for term in LOSSES[name]:
        assert np.all(np.isfinite(term(extreme)))
