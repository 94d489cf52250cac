import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.objectives.penalties import PENALTIES, squared_gradient_norms

KEY = tf.constant([3, 5], tf.int64)
W = tf.constant([3.0, 4.0])


def linear(points):
    return tf.linalg.matvec(points, W)


def half_square(points):
    """Its gradient at x is x."""
    return tf.reduce_sum(tf.square(points), axis=1) / 2


def penalize(name, discriminate, real, fake, key=KEY):
    """The penalty of each image, as the train step computes it."""
    penalty = PENALTIES[name]
    batches = penalty.points(real, fake, key)
    return tf.concat([penalty.terms(squared_gradient_norms(discriminate, points)) for points in batches], axis=0)


REAL = tf.constant([[3.0, 4.0], [0.0, 2.0]])
FAKE = tf.constant([[0.0, 0.0], [0.0, -2.0]])


def test_norms_by_hand():
    np.testing.assert_allclose(squared_gradient_norms(linear, REAL), [25, 25], rtol=1e-6)
    np.testing.assert_allclose(squared_gradient_norms(half_square, REAL), [25, 4], rtol=1e-6)


def test_penalties_of_a_linear_discriminator_by_hand():
    """Its gradient has the length 5 everywhere: (5 - 1)^2 = 16, and 5^2 / 2 = 12.5."""
    np.testing.assert_allclose(penalize("wgan_gp", linear, REAL, FAKE), [16, 16], rtol=1e-5)
    np.testing.assert_allclose(penalize("dragan", linear, REAL, FAKE), [16, 16], rtol=1e-5)
    np.testing.assert_allclose(penalize("r1", linear, REAL, FAKE), [12.5, 12.5], rtol=1e-5)


def test_wgan_gp_looks_between_real_and_fake_each_pair_at_its_own_place():
    """With gradient x, the root of the penalty tells how far from the origin each point was."""
    real, fake = tf.tile([[10.0, 0.0]], [2000, 1]), tf.tile([[2.0, 0.0]], [2000, 1])
    places = np.sqrt(penalize("wgan_gp", half_square, real, fake)) + 1
    assert places.min() >= 2 - 1e-4
    assert places.max() <= 10 + 1e-4
    assert np.histogram(places, bins=4, range=(2, 10))[0] == pytest.approx([500] * 4, abs=80)  # Uniform


def test_dragan_stays_around_the_real_images():
    real = tf.concat([tf.fill([1000, 1], 4.0), tf.fill([1000, 1], 6.0)], axis=0)  # Standard deviation 1
    places = np.sqrt(penalize("dragan", half_square, real, -real)) + 1
    assert places[:1000].min() >= 4 - 1e-4
    assert places[:1000].max() <= 4.5 + 1e-4
    # The product of two uniform numbers has the mean 1/4.
    assert np.mean(places[:1000]) == pytest.approx(4 + 0.5 / 4, abs=0.02)


def test_r1_ignores_the_fakes_and_chance():
    np.testing.assert_array_equal(
        penalize("r1", half_square, REAL, FAKE), penalize("r1", half_square, REAL, REAL, KEY + 1)
    )


def test_r1_r2_is_the_sum_of_r1_at_real_and_at_fake_images():
    """With gradient x: 25/2 and 4/2 at the real images, 0 and 4/2 at the fake ones. Chance has no part in it."""
    both = penalize("r1_r2", half_square, REAL, FAKE)
    np.testing.assert_allclose(both, [12.5, 2, 0, 2], rtol=1e-6)
    r1, r2 = penalize("r1", half_square, REAL, FAKE), penalize("r1", half_square, FAKE, REAL)
    np.testing.assert_allclose(tf.reduce_sum(both), tf.reduce_sum(r1) + tf.reduce_sum(r2), rtol=1e-6)
    np.testing.assert_array_equal(both, penalize("r1_r2", half_square, REAL, FAKE, KEY + 1))


@pytest.mark.parametrize("name", PENALTIES)
def test_gradients_to_the_weights_match_numerical_differences(name):
    chance = np.random.default_rng(0)
    real, fake = (tf.constant(chance.normal(size=(4, 3))) for _ in range(2))

    def penalty(hidden, out):
        def discriminate(points):
            return tf.linalg.matvec(tf.tanh(points @ hidden), out)

        return penalize(name, discriminate, real, fake)

    weights = [tf.constant(chance.normal(size=(3, 5))), tf.constant(chance.normal(size=5))]
    theoretical, numerical = tf.test.compute_gradient(penalty, weights, delta=1e-5)
    for ours, expected in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["wgan_gp", "r1"])  # DRAGAN uses the batch's standard deviation.
def test_row_by_row(name):
    """An image's penalty does not depend on the other images."""
    both = penalize(name, half_square, REAL, FAKE)
    first = penalize(name, half_square, REAL[:1], FAKE[:1])
    np.testing.assert_allclose(both[0], first[0], rtol=1e-5)


@pytest.mark.parametrize("name", PENALTIES)
def test_zero_gradient_stays_finite(name):
    flat = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(penalize(name, lambda x: flat * tf.reduce_sum(x, axis=1), REAL, FAKE))
    assert np.isfinite(tape.gradient(value, flat))
