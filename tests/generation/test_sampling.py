import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from dcgan_tf.generation.sampling import generate, latents_from_seeds
from tests.small_runs import make_networks


@pytest.fixture(scope="module")
def generator():
    return make_networks().generator


def test_latents_are_standard_normal():
    values = latents_from_seeds(tf.range(300, dtype=tf.int64), 100).numpy().ravel()
    assert stats.kstest(values, "norm").pvalue > 1e-3


def test_latent_depends_on_its_own_seed_alone():
    together = latents_from_seeds(tf.constant([7, 8, 7, 2**40], tf.int64), 16).numpy()
    np.testing.assert_array_equal(together[0], together[2])
    np.testing.assert_array_equal(together[:1], latents_from_seeds(tf.constant([7], tf.int64), 16))
    assert len(np.unique(together, axis=0)) == 3


def test_same_seed_same_image_whatever_the_batch(generator):
    many = generate(generator, range(70))
    assert many.shape == (70, 16, 16, 1)
    assert many.dtype == np.uint8
    assert len(np.unique(many.reshape(70, -1), axis=0)) == 70
    np.testing.assert_array_equal(generate(generator, range(40, 70)), many[40:])
    np.testing.assert_array_equal(np.concatenate([generate(generator, [seed]) for seed in range(15)]), many[:15])
    np.testing.assert_array_equal(generate(generator, range(69, -1, -1))[::-1], many)
