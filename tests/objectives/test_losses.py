import math

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.config.combinations import LOSSES_WITH_SIGN
from dcgan_tf.objectives.losses import LOSSES, relative_to_mean, relative_to_partner

# The logits 0, log 3 and -log 3 mean the probabilities 1/2, 3/4 and 1/4.
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
    # Half of a pair's term each
    "relativistic_pairing": (
        -LN([1 / 2, 3 / 4, 1 / 4]) / 2,
        -LN([1 / 2, 1 / 4, 3 / 4]) / 2,
        -LN([1 / 2, 3 / 4, 1 / 4]) / 2,
    ),
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
    real, fake = relative_to_mean(tf.constant([2.0, 0.0]), tf.constant([1.0, -1.0]))
    np.testing.assert_allclose(real, [2, 0])
    np.testing.assert_allclose(fake, [0, -2])
    loss = LOSSES["relativistic_average"]
    # softplus(2) = 2.1269280, softplus(-2) = 0.1269280, softplus(0) = log 2 = 0.6931472
    np.testing.assert_allclose(loss.discriminator_real(real), [0.1269280, 0.6931472], rtol=1e-6)
    np.testing.assert_allclose(loss.discriminator_fake(fake), [0.6931472, 0.1269280], rtol=1e-6)
    np.testing.assert_allclose(loss.generator(fake), [0.6931472, 2.1269280], rtol=1e-6)
    np.testing.assert_allclose(loss.generator_real(real), [2.1269280, 0.6931472], rtol=1e-6)


def relativistic_pairing(real_logits, fake_logits):
    """D's and G's loss of each pair, as the authors' code has them (Trainer.py of R3GAN)."""

    def softplus(x):
        return np.log1p(np.exp(x))

    of_generator = softplus(-(fake_logits - real_logits))
    of_discriminator = softplus(-(real_logits - fake_logits))
    return of_discriminator, of_generator


def test_relativistic_pairing_by_hand_and_by_the_papers_formula():
    """Two pairs: the real image is ahead by log 3, and behind by log 3."""
    logits = np.array([2 + math.log(3), -1.0]), np.array([2.0, -1 + math.log(3)])
    loss = LOSSES["relativistic_pairing"]
    real, fake = relative_to_partner(*(tf.constant(kind, tf.float32) for kind in logits))
    np.testing.assert_allclose(real, [math.log(3), -math.log(3)], rtol=1e-6)
    np.testing.assert_allclose(fake, [-math.log(3), math.log(3)], rtol=1e-6)
    of_discriminator = loss.discriminator_real(real) + loss.discriminator_fake(fake)
    of_generator = loss.generator(fake) + loss.generator_real(real)
    # D names the right image with the probabilities 3/4 and 1/4.
    np.testing.assert_allclose(of_discriminator, [-math.log(3 / 4), -math.log(1 / 4)], rtol=1e-6)
    np.testing.assert_allclose(of_generator, [-math.log(1 / 4), -math.log(3 / 4)], rtol=1e-6)

    logits = np.random.default_rng(0).normal(size=(2, 50), scale=3)
    real, fake = relative_to_partner(*(tf.constant(kind) for kind in logits))
    expected_of_discriminator, expected_of_generator = relativistic_pairing(*logits)
    np.testing.assert_allclose(loss.discriminator_real(real) + loss.discriminator_fake(fake), expected_of_discriminator)
    np.testing.assert_allclose(loss.generator(fake) + loss.generator_real(real), expected_of_generator)


def test_logit_at_which_d_cannot_tell_is_the_best_answer_to_as_many_real_as_fake_images():
    logits = tf.constant(np.linspace(-2, 2, 401), tf.float32)
    for name, loss in LOSSES.items():
        assert (loss.undecided is not None) == (name in LOSSES_WITH_SIGN), name
        if loss.undecided is not None:
            value = (loss.discriminator_real(logits) + loss.discriminator_fake(logits)).numpy()
            best = logits.numpy()[value <= value.min() + 1e-6]
            assert (best.min() + best.max()) / 2 == pytest.approx(loss.undecided, abs=0.01), (
                name
            )  # Hinge is flat there.


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
    loss = LOSSES[name]
    terms = (loss.discriminator_real, loss.discriminator_fake, loss.generator, loss.generator_real)
    for term in filter(None, terms):
        assert np.all(np.isfinite(term(extreme)))
