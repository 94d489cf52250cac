import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.config.sections.objective import AUGMENTATION_NAMES
from dcgan_tf.objectives.augment import AUGMENTATIONS, augment, color, cutout, translation

KEY = tf.constant([1, 2], tf.int64)
IMAGES = tf.constant(np.random.default_rng(0).uniform(-1, 1, (64, 16, 24, 3)), tf.float32)


def test_names_are_those_of_the_configuration():
    assert tuple(AUGMENTATIONS) == AUGMENTATION_NAMES


def test_translation_shifts_each_image_by_up_to_an_eighth():
    shifts = set()
    for before, after in zip(IMAGES.numpy(), translation(IMAGES, KEY, parts=1).numpy(), strict=True):
        padded = np.pad(before, ((2, 2), (3, 3), (0, 0)))
        found = [(y, x) for y in range(5) for x in range(7) if np.array_equal(padded[y : y + 16, x : x + 24], after)]
        assert len(found) == 1
        shifts |= set(found)
    assert len(shifts) > 15  # Of 35


@pytest.mark.parametrize(
    ("size", "largest_shift", "hole", "smallest_hole"),
    [(16, 2, 8, 4), (17, 2, 9, 5), (20, 3, 10, 5), (28, 4, 14, 7), (36, 5, 18, 9)],
)
def test_lengths_round_halves_up(size, largest_shift, hole, smallest_hole):
    """Shift and cutout as in the paper's code: int(ratio * size + 0.5). The cutout's center lies in the image, so at
    either border half of it is left, or the larger half of an odd one."""
    ones = tf.ones((2000, size, size, 1))
    gaps = (translation(ones, KEY, parts=1).numpy()[..., 0] == 0).all(axis=2)  # Rows that were shifted in
    assert gaps.sum(1).max() == largest_shift
    assert gaps[:, largest_shift - 1].any()
    assert gaps[:, -largest_shift].any()
    covered = (cutout(ones, KEY, parts=1).numpy()[..., 0] == 0).any(axis=2)
    assert covered.sum(1).max() == hole
    for border in (covered, covered[:, ::-1]):
        assert covered.sum(1)[border[:, 0]].min() == smallest_hole


def test_color_by_its_invariants():
    after = color(IMAGES, KEY, parts=1).numpy()
    shift = after.mean(axis=(1, 2, 3)) - IMAGES.numpy().mean(axis=(1, 2, 3))
    assert np.abs(shift).max() <= 0.5
    assert shift.std() > 0.2
    contrast = after.mean(3).std(axis=(1, 2)) / IMAGES.numpy().mean(3).std(axis=(1, 2))
    assert contrast.min() >= 0.5
    assert contrast.max() <= 1.5
    saturation = after.std(3).mean(axis=(1, 2)) / IMAGES.numpy().std(3).mean(axis=(1, 2)) / contrast
    assert saturation.min() >= 0
    assert saturation.max() <= 2 + 1e-4
    assert saturation.std() > 0.3


def test_cutout_covers_one_rectangle_of_half_the_side():
    holes = (cutout(tf.ones_like(IMAGES), KEY, parts=1).numpy() == 0).all(axis=3)
    heights, widths = holes.any(2).sum(1), holes.any(1).sum(1)
    np.testing.assert_array_equal(holes.sum((1, 2)), heights * widths)
    assert heights.max() == 8
    assert widths.max() == 12
    assert heights.min() < 8  # Over the border


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_gradients_reach_the_images(name):
    images = tf.constant(np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 1)))
    theoretical, numerical = tf.test.compute_gradient(lambda x: augment(x, [name], KEY), [images], delta=1e-4)
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=1e-7)


def test_chance_follows_the_key_and_each_augmentation_has_its_own():
    names = tuple(AUGMENTATIONS)
    np.testing.assert_array_equal(augment(IMAGES, names, KEY), augment(IMAGES, names, KEY))
    assert not np.array_equal(augment(IMAGES, names, KEY), augment(IMAGES, names, KEY + 1))
    np.testing.assert_array_equal(augment(IMAGES, [], KEY), IMAGES)
