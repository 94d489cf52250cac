import numpy as np
import pytest
from PIL import Image

from dcgan_tf.drawing.grids import make_grid, save_png


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
def test_png_can_be_read_back(tmp_path, channels):
    picture = np.random.default_rng(0).integers(0, 256, (50, 60, channels), np.uint8)
    save_png(picture, tmp_path / "1.png")
    with Image.open(tmp_path / "1.png") as opened:
        np.testing.assert_array_equal(np.asarray(opened).reshape(50, 60, channels), picture)
    assert [path.name for path in tmp_path.iterdir()] == ["1.png"]
