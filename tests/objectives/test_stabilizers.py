import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.config.sections.objective import DECAY_NAMES
from dcgan_tf.objectives.losses import LOSSES
from dcgan_tf.objectives.stabilizers import (
    DECAYS,
    add_instance_noise,
    decay_factor,
    fake_targets,
    mix_terms,
    real_targets,
)

KEY = tf.constant([1, 2], tf.int64)


def test_names_are_those_of_the_configuration():
    assert tuple(DECAYS) == DECAY_NAMES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("linear", [1, 0.5, 0, 0]),
        ("exponential", [1, 0.1, 0.01, 0.0001]),
        ("cosine", [1, 0.5, 0, 0]),
    ],
)
def test_schedules_by_hand(name, expected):
    factors = [decay_factor(name, tf.constant(step, tf.int64), 100) for step in (0, 50, 100, 200)]
    np.testing.assert_allclose(factors, expected, rtol=1e-5, atol=1e-7)


def test_instance_noise_has_its_deviation_and_fades(small_config):
    config = small_config(instance_noise=0.2, instance_noise_decay="linear", instance_noise_steps=100)
    images = tf.zeros((100, 16, 16, 1))
    for step, deviation in ((0, 0.2), (75, 0.05)):
        noise = add_instance_noise(images, config, tf.constant(step, tf.int64), KEY).numpy()
        assert noise.std() == pytest.approx(deviation, rel=0.02)
        assert abs(noise.mean()) < 0.003
    np.testing.assert_array_equal(add_instance_noise(images, config, tf.constant(100, tf.int64), KEY), images)


def test_targets(small_config):
    smooth = small_config(label_smoothing=0.1)
    np.testing.assert_allclose(real_targets(5, smooth, KEY), [0.9] * 5)
    np.testing.assert_array_equal(fake_targets(5, smooth, KEY), [0] * 5)  # One-sided
    noisy = real_targets(4000, small_config(label_noise=0.2), KEY).numpy()
    assert noisy.min() >= 0.8
    assert noisy.max() <= 1
    assert noisy.mean() == pytest.approx(0.9, abs=0.005)
    flips = fake_targets(4000, small_config(label_flip=0.25), KEY).numpy()
    assert set(flips) == {0.0, 1.0}
    assert flips.mean() == pytest.approx(0.25, abs=0.03)
    both = real_targets(4000, small_config(label_smoothing=0.1, label_flip=0.25), KEY).numpy()
    np.testing.assert_allclose(np.unique(both), [0.1, 0.9], rtol=1e-6)


def test_soft_target_is_cross_entropy():
    loss, logits = LOSSES["non_saturating"], tf.constant([0.3, -2.0])
    probability = 1 / (1 + np.exp([-0.3, 2.0]))
    expected = -0.9 * np.log(probability) - 0.1 * np.log(1 - probability)
    mixed = mix_terms(tf.constant([0.9, 0.9]), loss.discriminator_real, loss.discriminator_fake, logits)
    np.testing.assert_allclose(mixed, expected, rtol=1e-5)


def test_soft_target_of_least_squares_has_the_gradient_of_the_square_to_it():
    loss, logits = LOSSES["least_squares"], tf.Variable([0.3, -2.0])
    with tf.GradientTape() as tape:
        value = mix_terms(tf.constant([0.9, 0.9]), loss.discriminator_real, loss.discriminator_fake, logits)
    np.testing.assert_allclose(tape.gradient(value, logits), [0.3 - 0.9, -2.0 - 0.9], rtol=1e-5)
