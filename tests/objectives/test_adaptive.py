"""Adaptive augmentation: the probability that follows D's answers, and the transformations (arXiv 2006.06676)."""

import math

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.objectives import adaptive
from dcgan_tf.objectives.adaptive import AdaptiveProbability, augment_adaptively, resample

KEY = tf.constant([1, 2], tf.int64)
IMAGES = np.random.default_rng(0).uniform(-1, 1, (6, 16, 24, 3)).astype(np.float32)


def moved(images, mirrored=False, shift=(0, 0), scale=1.0, angle=0.0):
    """The same move of every image."""
    count = len(images)
    return resample(
        tf.constant(images),
        mirrored=tf.fill([count], mirrored),
        shifts=tf.tile(tf.constant([shift], tf.float32), [count, 1]),
        scales=tf.fill([count], scale),
        angles=tf.fill([count], angle),
    ).numpy()


def test_nothing_moves_without_a_move():
    np.testing.assert_array_equal(moved(IMAGES), IMAGES)


def test_mirroring_and_shifts_are_exact_and_borders_reflect():
    np.testing.assert_array_equal(moved(IMAGES, mirrored=True), IMAGES[:, :, ::-1])
    padded = np.pad(IMAGES, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(moved(IMAGES, shift=(2, -3)), padded[:, 1:17, 6:30])
    # Mirrored first
    np.testing.assert_array_equal(moved(IMAGES, mirrored=True, shift=(0, 2)), padded[:, :, ::-1][:, 3:19, 1:25])


def test_quarter_and_half_turns():
    square = IMAGES[:, :, :16]
    np.testing.assert_allclose(moved(square, angle=math.pi), square[:, ::-1, ::-1], atol=1e-5)
    quarter = moved(square, angle=math.pi / 2)
    assert min(np.abs(quarter - np.rot90(square, turns, axes=(1, 2))).max() for turns in (1, 3)) < 1e-5


def test_scaling_of_a_slope_by_hand():
    """Linear interpolation is exact there: twice as large is half as steep, around the center."""
    slope = np.tile(np.arange(9, dtype=np.float32)[:, None, None], (1, 1, 8, 1))
    np.testing.assert_allclose(moved(slope, scale=2.0)[0, :, 3, 0], np.linspace(2, 6, 9), atol=1e-6)
    # Half as large, it continues beyond the borders as in a mirror.
    np.testing.assert_allclose(moved(slope, scale=0.5)[0, :, 3, 0], [4, 2, 0, 2, 4, 6, 8, 6, 4], atol=1e-6)


def test_each_image_draws_each_transformation_by_itself_within_its_range(monkeypatch):
    draws = {}
    monkeypatch.setattr(adaptive, "resample", lambda images, **moves: draws.update(moves) or images)
    count, probability = 4000, 0.3
    before = tf.ones([count, 16, 24, 1])
    after = augment_adaptively(before, tf.constant(probability), KEY).numpy()
    mirrored, shifts, scales, angles = (draws[name].numpy() for name in ("mirrored", "shifts", "scales", "angles"))
    covered = (after == 0).any(axis=(1, 2, 3))
    # Only color changes the brightness, and it does so in nearly every image; no image is covered entirely.
    recolored = np.abs(after).max(axis=(1, 2, 3)) != 1
    met = {
        "shifts": shifts.any(axis=1),
        "scales": scales != 1,
        "angles": angles != 0,
        "covered": covered,
        "recolored": recolored,
    }
    assert mirrored.mean() == pytest.approx(probability / 2, abs=0.03)
    assert met["shifts"].mean() == pytest.approx(probability * (1 - 1 / (5 * 7)), abs=0.03)
    for name in ("scales", "angles", "covered", "recolored"):
        assert met[name].mean() == pytest.approx(probability, abs=0.03), name
    correlations = np.corrcoef([mirrored, *met.values()]) - np.eye(6)
    assert np.abs(correlations).max() < 0.06  # Four standard errors

    shifts = shifts[met["shifts"]]
    assert set(np.unique(shifts[:, 0])) == set(range(-2, 3))
    assert set(np.unique(shifts[:, 1])) == set(range(-3, 4))
    assert np.log2(scales[met["scales"]]).std() == pytest.approx(0.2, abs=0.015)
    assert np.abs(np.log2(scales[met["scales"]]).mean()) < 0.02
    assert np.histogram(angles[met["angles"]], bins=4, range=(-math.pi, math.pi))[0] == pytest.approx([300] * 4, abs=75)


def test_probabilities_0_and_1():
    np.testing.assert_array_equal(augment_adaptively(IMAGES, tf.constant(0.0), KEY), IMAGES)
    always = augment_adaptively(IMAGES, tf.constant(1.0), KEY).numpy()
    assert (np.abs(always - IMAGES).max(axis=(1, 2, 3)) > 0.1).all()
    np.testing.assert_array_equal(augment_adaptively(IMAGES, tf.constant(1.0), KEY), always)
    assert not np.array_equal(augment_adaptively(IMAGES, tf.constant(1.0), KEY + 1), always)


def test_xla_moves_pixels_alike():
    """The moves are given, because XLA draws other numbers from the same key."""
    chance = np.random.default_rng(0)
    moves = {
        "mirrored": tf.constant([True, False] * 3),
        "shifts": tf.constant(chance.integers(-3, 4, (6, 2)), tf.float32),
        "scales": tf.constant(chance.uniform(0.7, 1.4, 6), tf.float32),
        "angles": tf.constant(chance.uniform(-3, 3, 6), tf.float32),
    }
    results = [tf.function(resample, jit_compile=compiled)(tf.constant(IMAGES), **moves) for compiled in (False, True)]
    np.testing.assert_allclose(*results, atol=1e-4)


def test_gradients_reach_the_images():
    images = tf.constant(IMAGES[:2, :4, :6, :1], tf.float64)
    function = tf.function(lambda x: augment_adaptively(x, tf.constant(1.0), KEY))
    theoretical, numerical = tf.test.compute_gradient(function, [images], delta=1e-4)
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-7)
    assert np.abs(theoretical[0]).max() > 0.5


def observed(probability, sums):
    """Shows batches of ten real images each, whose signs have these sums."""
    for signs in sums:
        probability.observe(tf.constant(signs / 10, tf.float32))
    return float(probability.value.numpy())


def test_probability_moves_with_every_fourth_batch_by_the_images_shown():
    """From 0 to 1 in 500,000 images. Here each batch counts as 12,500 images, though only ten are shown."""
    probability = AdaptiveProbability(batch_size=12_500, rows=10)
    assert observed(probability, [10, 10, 10]) == 0
    assert observed(probability, [10]) == pytest.approx(0.1)
    assert observed(probability, [10, 10, 10]) == pytest.approx(0.1)
    assert observed(probability, [10]) == pytest.approx(0.2)
    assert observed(probability, [10] * 32) == pytest.approx(1)
    assert observed(probability, [10] * 4) == 1  # And no further
    assert observed(probability, [-10] * 40) == pytest.approx(0, abs=1e-6)
    assert observed(probability, [-10] * 8) == 0


@pytest.mark.parametrize(
    ("sums", "direction"),
    [([6, 6, 6, 6], 0), ([10, 10, 4, 0], 0), ([8, 6, 6, 6], 1), ([6, 6, 4, 6], -1), ([10, 10, 10, -10], -1)],
)
def test_mean_sign_is_held_at_the_target(sums, direction):
    """0.6 on average over four batches; a batch by itself decides nothing."""
    probability = AdaptiveProbability(batch_size=12_500, rows=10)
    probability.value.assign(0.5)
    assert observed(probability, sums) == pytest.approx(0.5 + 0.1 * direction)
