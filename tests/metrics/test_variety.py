"""Samples whose variety is known: copies, points of known groups, noise."""

import numpy as np
import pytest

from dcgan_tf.errors import UserError
from dcgan_tf.metrics.variety import RealVariety


@pytest.fixture
def random():
    return np.random.default_rng(0)


def circle(groups, count, random):
    """Points around ``groups`` of 20 places that are far apart, equally many around each."""
    angles = 2 * np.pi * (np.arange(count) % groups) / 20
    return np.stack([np.cos(angles), np.sin(angles)], 1) + random.normal(0, 0.01, (count, 2))


@pytest.mark.parametrize(("groups", "distance"), [(20, 0), (10, 0.5), (5, 0.75), (1, 0.95)])
def test_group_distance_is_the_share_of_missing_groups(random, groups, distance):
    variety = RealVariety(circle(20, 1000, random)).compare(circle(groups, 100, random))
    assert variety.group_distance == pytest.approx(distance, abs=0.02)
    assert variety.realism > 0.7


@pytest.mark.parametrize("scale", [1e-3, 1, 1e3])
def test_copies_and_distances_by_hand(random, scale):
    real = scale * random.normal(size=(1000, 50))
    # 10 points twice and 20 once: half of the samples have a copy.
    samples = np.concatenate([np.repeat(real[:10], 2, axis=0), real[10:30]])
    variety = RealVariety(real).compare(samples)
    assert variety.repeats == 0.5
    assert variety.realism == 1
    assert variety.diversity == pytest.approx(1, abs=0.1)
    assert RealVariety(real).compare(real[0] + 0.25 * (samples - real[0])).diversity == pytest.approx(0.25, abs=0.03)


def test_noise_does_not_repeat_and_is_not_real(random):
    real = random.normal(size=(1000, 50))
    variety = RealVariety(real).compare(5 + 1e-3 * random.normal(size=(64, 50)))
    assert variety.repeats == variety.realism == 0
    assert variety.diversity < 0.01


@pytest.mark.parametrize("count", [2, 3, 30])
def test_few_and_equal_images(random, count):
    """A folder may hold any number of pictures, and all of them may be the same."""
    images = random.normal(size=(count, 5))
    assert RealVariety(images).compare(images).realism > 0.5
    variety = RealVariety(np.repeat(images[:1], count, axis=0)).compare(np.repeat(images[:1], 64, axis=0))
    assert (variety.repeats, variety.group_distance, variety.realism) == (1, 0, 1)


def test_bad_features_are_refused(random):
    with pytest.raises(UserError, match=r"variety: expected at least 2 samples\. Received: 1"):
        RealVariety(np.zeros((1, 5)))
    with pytest.raises(UserError, match="not finite"):
        RealVariety(random.normal(size=(9, 5))).compare(np.full((9, 5), np.nan))
