import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import stats

from dcgan_tf.gan import GAN
from dcgan_tf.sampling import generate, latents_from_seeds, make_grid, save_gif, save_png


@pytest.fixture(scope="module")
def generator():
    import dataclasses

    from dcgan_tf.config import Config
    from tests.conftest import SMALL

    gan = GAN(dataclasses.replace(Config(), **SMALL))
    # Far from the start, where images would be one flat gray: rounding to gray levels has something to round.
    for variable in gan.ema_generator.trainable_variables:
        variable.assign(tf.random.stateless_normal(variable.shape, [1, 2]) * 0.3)
    return gan.ema_generator


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


def test_grid_layout():
    images = np.stack([np.full((48, 48, 3), value, np.uint8) for value in range(1, 6)])
    grid = make_grid(images, columns=3)
    assert grid.shape == (2 + 2 * 50, 2 + 3 * 50, 3)
    for index in range(5):
        top, left = 2 + index // 3 * 50, 2 + index % 3 * 50
        assert np.all(grid[top : top + 48, left : left + 48] == index + 1)
    assert np.all(grid[:2] == 255)
    assert np.all(grid[52:, 102:] == 255)  # The sixth place is empty.


def test_small_tiles_are_enlarged_by_whole_pixels():
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    grid = make_grid(image)
    np.testing.assert_array_equal(grid[2:58:2, 2:58:2], image[0])
    np.testing.assert_array_equal(grid[3:58:2, 3:58:2], image[0])


@pytest.mark.parametrize("channels", [1, 3])
def test_png_and_gif_can_be_read_back(tmp_path, channels):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 50, 60, channels), np.uint8)
    for index, picture in enumerate(pictures):
        save_png(picture, tmp_path / f"{index}.png")
    with Image.open(tmp_path / "1.png") as opened:
        np.testing.assert_array_equal(np.asarray(opened).reshape(50, 60, channels), pictures[1])
    save_gif([tmp_path / f"{i}.png" for i in range(3)], ["a", "b", "c"], tmp_path / "all.gif", milliseconds=100)
    with Image.open(tmp_path / "all.gif") as gif:
        assert gif.n_frames == 3
        assert gif.size == (60, 66)
        assert gif.info["duration"] == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "2.png", "all.gif"]
