import numpy as np
import pytest

from dcgan_tf.generation.measures import slant, stroke_thickness


def bar(width, height=40, shear=0.0, brightness=255):
    """A bar in the middle of an image [1, 64, 64, 1], each row moved to the right by shear times its height."""
    image = np.zeros((1, 64, 64, 1), np.uint8)
    for y in range(12, 12 + height):
        left = 32 - width // 2 + round(shear * (12 + height / 2 - y))
        image[0, y, left : left + width] = brightness
    return image


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_thickness_of_a_bar_is_twice_its_area_over_its_edge(width):
    expected = 2 * width * 40 / (2 * (width + 40))
    assert stroke_thickness(bar(width))[0] == pytest.approx(expected, rel=0.02)


def test_thickness_of_a_disc_is_its_radius():
    y, x = np.mgrid[-31:32, -31:32]
    # The edge takes four pixels from black to white: a sharper round edge has steps, and measures longer.
    disc = np.rint(255 * np.clip(5.5 - np.hypot(x, y) / 4, 0, 1)).astype(np.uint8)[None, :, :, None]
    assert stroke_thickness(disc)[0] == pytest.approx(20, rel=0.03)


def test_thickness_does_not_depend_on_contrast_or_place():
    bright = stroke_thickness(bar(3))
    np.testing.assert_allclose(stroke_thickness(bar(3, brightness=51)), bright)
    np.testing.assert_allclose(stroke_thickness(np.roll(bar(3), (-12, 30), (1, 2))), bright)


@pytest.mark.parametrize("shear", [-0.5, 0.0, 0.25, 1.0])
def test_slant_is_the_angle_of_the_shear(shear):
    assert slant(bar(3, shear=shear))[0] == pytest.approx(np.degrees(np.arctan(shear)), abs=0.6)


def test_mirroring_turns_the_slant():
    image = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1)).astype(np.uint8)
    np.testing.assert_allclose(slant(image[:, :, ::-1]), -slant(image))


def test_black_images_measure_zero():
    black = np.zeros((1, 8, 8, 1), np.uint8)
    assert stroke_thickness(black)[0] == 0
    assert slant(black)[0] == 0
