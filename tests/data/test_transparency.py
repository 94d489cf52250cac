"""Images with transparency (`channels=4`), from the files to the pictures that a run writes."""

import numpy as np
import pytest
from PIL import Image

import dcgan_tf
from dcgan_tf.config.settings import Config
from dcgan_tf.data.pictures import Recipe, make_row
from dcgan_tf.drawing.animation import enlarge_images, save_animation
from dcgan_tf.drawing.grids import make_grid, on_white, to_picture
from dcgan_tf.drawing.panels import join_panels
from tests.conftest import SMALL
from tests.small_runs import read


def row(picture, side=2, **changes):
    return make_row(picture, Recipe(side, side, 4, **changes))


def test_opaque_pictures_are_opaque():
    for mode, color, expected in (
        ("L", 7, (7, 7, 7)),
        ("RGB", (1, 2, 3), (1, 2, 3)),
        ("CMYK", (0, 0, 0, 0), (255,) * 3),
    ):
        assert row(Image.new(mode, (2, 2), color))[0, 0].tolist() == [*expected, 255]


def test_transparency_is_kept_in_every_mode():
    gray = Image.merge("LA", [Image.new("L", (2, 2), 9), Image.new("L", (2, 2), 128)])
    assert row(gray)[0, 0].tolist() == [9, 9, 9, 128]
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.putpixel((1, 1), 0)
    palette.info["transparency"] = 0
    assert row(palette)[0, 0].tolist() == [10, 20, 30, 255]
    assert row(palette, background="red")[1, 1].tolist() == [255, 0, 0, 0]


def test_hidden_colors_do_not_bleed():
    """Half of the picture is red, the other half transparent green. After resizing, no pixel is partly green."""
    picture = Image.new("RGBA", (64, 64), (0, 255, 0, 0))
    picture.paste((255, 0, 0, 255), (0, 0, 33, 64))
    pixels = row(picture, side=16, background="black").reshape(-1, 4)
    seen = pixels[pixels[:, 3] > 0]
    assert {tuple(color) for color in seen[:, :3].tolist()} == {(255, 0, 0)}
    assert len(np.unique(seen[:, 3])) > 1
    assert set(map(tuple, pixels[pixels[:, 3] == 0].tolist())) == {(0, 0, 0, 0)}


def test_grids_are_transparent_between_the_images_and_other_sheets_white(tmp_path):
    images = np.zeros((2, 48, 48, 4), np.uint8)
    images[1, :, :, 3] = 255
    grid = make_grid(images, columns=2)
    assert (grid[0, 0].tolist(), grid[10, 10].tolist(), grid[10, 60].tolist()) == (
        [255, 255, 255, 0], [0, 0, 0, 0], [0, 0, 0, 255],
    )  # fmt: skip
    assert np.asarray(on_white(to_picture(grid)))[10, (10, 60)].tolist() == [[255] * 3, [0] * 3]
    assert join_panels([("two", grid)]).shape[2] == 3
    save_animation(enlarge_images(images), tmp_path / "walk.gif", 10)
    with Image.open(tmp_path / "walk.gif") as frames:
        tones = []
        for number in range(2):
            frames.seek(number)
            tones.append(frames.convert("RGB").getpixel((20, 20)))
    assert tones == [(255, 255, 255), (0, 0, 0)]


def test_color_augmentation_leaves_transparency_alone():
    import tensorflow as tf

    from dcgan_tf.objectives.augment import color

    images = tf.random.stateless_uniform([3, 16, 16, 4], [0, 1])
    changed = color(images, tf.constant([1, 2], tf.int64), 1)
    np.testing.assert_array_equal(changed[..., 3], images[..., 3])
    np.testing.assert_array_equal(changed[..., :3], color(images[..., :3], tf.constant([1, 2], tf.int64), 1))


def test_inception_sees_transparent_images_on_white():
    import tensorflow as tf

    from dcgan_tf.evaluation.inception import _three_channels

    image = tf.constant([[[[10.0, 20.0, 30.0, 255.0], [10.0, 20.0, 30.0, 0.0], [0.0, 100.0, 255.0, 51.0]]]])
    np.testing.assert_allclose(_three_channels(image)[0, 0], [[10, 20, 30], [255] * 3, [204, 224, 255]])


@pytest.fixture(scope="module")
def sprites(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sprites")
    for number in range(16):
        sprite = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
        sprite.paste((255, 10 * number, 0, 255), (4, 4, 12, 12))
        sprite.save(folder / f"{number}.png")
    return folder


@pytest.mark.long
def test_run_with_transparency(sprites, tmp_path, cli):
    settings = {**SMALL, "channels": "4", "split": Config.split, "batch_size": 4, "steps": 2, "steps_per_call": 2}
    settings |= {"diff_augment": "color,translation,cutout", "evaluate_every": 2, "sample_every": 2}
    result = dcgan_tf.train(sprites, run_dir=tmp_path / "run", verbose=False, cache_dir=str(tmp_path), **settings)
    assert result.generator.sample([0, 1]).shape == (2, 16, 16, 4)
    assert read(tmp_path / "run" / "final_grid.png").shape[2] == 4
    assert (tmp_path / "run" / "training.gif").is_file()
    done = cli(
        "sample", "images", f"--run_dir={tmp_path / 'run'}", "--num=2", "--separate", f"--out={tmp_path / 'out'}"
    )
    assert done.returncode == 0, done.stderr
    singles = [path for path in (tmp_path / "out").rglob("*.png") if read(path).shape == (16, 16, 4)]
    assert len(singles) == 2
    done = cli("sample", "filters", f"--run_dir={tmp_path / 'run'}", f"--out={tmp_path / 'filters.png'}")
    assert done.returncode == 0, done.stderr
