import numpy as np
import pytest
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data.pictures import BadPictureError, Recipe, load_picture, make_row


def row(array, height=4, width=4, channels=3, mode=None, **settings):
    """The row of a picture given as an array."""
    picture = Image.fromarray(np.asarray(array, np.uint8)) if mode is None else Image.fromarray(array, mode)
    return make_row(picture, Recipe(height, width, channels, **settings))


def read_row(path, recipe):
    return make_row(load_picture(path, recipe.max_pixels), recipe)


def test_fitting_picture_is_kept_as_it_is():
    pixels = np.arange(48).reshape(4, 4, 3)
    np.testing.assert_array_equal(row(pixels), pixels)


def test_centre_is_cropped_to_the_aspect_ratio():
    pixels = np.zeros((20, 60, 3))
    pixels[:, 20:40] = 200  # The middle third is what a square keeps.
    assert np.all(row(pixels, 20, 20) == 200)
    assert row(pixels, 16, 24).shape == (16, 24, 3)


def test_nothing_is_cropped_with_none():
    pixels = np.zeros((20, 60, 3))
    pixels[:, :30] = 200
    squeezed = row(pixels, 20, 20, crop="none")
    assert np.all(squeezed[:, :5] == 200)
    assert np.all(squeezed[:, 15:] == 0)


def test_crop_size_cuts_the_centre_first():
    pixels = np.zeros((218, 178, 3))
    pixels[55:163, 35:143] = 90  # The 108 pixels in the middle of an aligned face
    cut = row(pixels, 64, 64, crop_size=108)
    assert np.all(cut[2:-2, 2:-2] == 90)  # The filter of the resizing reaches a little beyond the edge.
    assert cut.min() > 70
    assert np.mean(row(pixels, 64, 64) == 90) < 0.6
    assert row(np.full((50, 40, 3), 7), 16, 16, crop_size=108).mean() == 7  # A smaller picture is used as it is.


def test_random_crop_leaves_a_margin():
    recipe = Recipe.of(Config(image_size="64x32", channels="3", crop="random"))
    assert (recipe.height, recipe.width) == (72, 36)


def test_resizing_is_antialiased():
    stripes = np.tile([[0, 255]], (64, 64))
    assert abs(row(stripes, 16, 16, 1).astype(int) - 127).max() < 20  # Else all would be black or white.


@pytest.mark.parametrize(
    ("mode", "pixel", "expected_rgb", "expected_gray"),
    [
        ("1", 1, (255, 255, 255), 255),
        ("L", 77, (77, 77, 77), 77),
        ("LA", (77, 255), (77, 77, 77), 77),
        ("LA", (77, 0), (0, 128, 255), 104),
        ("RGB", (255, 0, 0), (255, 0, 0), 76),
        ("RGBA", (255, 0, 0, 255), (255, 0, 0), 76),
        ("RGBA", (255, 0, 0, 0), (0, 128, 255), 104),
        ("RGBA", (255, 0, 0, 128), (128, 64, 127), 90),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0), 76),
        ("I;16", 65535, (255, 255, 255), 255),
        ("I;16", 257 * 77, (77, 77, 77), 77),
        ("I", 200, (200, 200, 200), 200),
        ("I", 51400, (200, 200, 200), 200),
        ("F", 12.4, (12, 12, 12), 12),
        ("HSV", (0, 255, 255), (255, 0, 0), 76),
        ("YCbCr", (76, 85, 255), (254, 0, 0), 76),
    ],
)
def test_every_mode_is_converted_by_rule(mode, pixel, expected_rgb, expected_gray):
    picture = Image.new(mode, (4, 4), pixel)
    for channels, expected in ((3, expected_rgb), (1, (expected_gray,))):
        made = make_row(picture, Recipe(4, 4, channels, background="#0080ff"))
        assert np.abs(made.astype(int) - expected).max() <= 1


def test_palette_with_and_without_transparency(tmp_path):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "plain.png")
    picture.save(tmp_path / "clear.png", transparency=1)
    assert np.all(read_row(tmp_path / "plain.png", Recipe(4, 4, 3)) == (0, 0, 255))
    assert np.all(read_row(tmp_path / "clear.png", Recipe(4, 4, 3, background="black")) == 0)
    assert np.all(read_row(tmp_path / "clear.png", Recipe(4, 4, 3)) == 255)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "gif", "webp"])
def test_every_format_is_read(tmp_path, ending):
    path = tmp_path / f"picture.{ending}"
    frames = [Image.new("RGB", (24, 16), colour) for colour in ((200, 30, 60), (0, 255, 0))]
    if ending == "gif":
        frames[0].save(path, save_all=True, append_images=frames[1:])  # The first frame counts.
    else:
        frames[0].save(path)
    assert np.abs(read_row(path, Recipe(16, 24, 3)).astype(int) - (200, 30, 60)).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, orientation):
    upright = np.zeros((32, 16), np.uint8)
    upright[:8, :4] = 255  # A corner that tells all eight apart
    turn_back = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
        5: np.transpose, 6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(turn_back[orientation](upright))
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_row(tmp_path / "turned.png", Recipe(32, 16, 1))[:, :, 0], upright)


def bomb(path):
    """A PNG whose header says 60,000 x 60,000 pixels, of a hundred bytes."""
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = __import__("zlib").crc32(bytes(content[12:29])).to_bytes(4, "big")
    path.write_bytes(content)


def test_pixel_bomb_is_refused_from_its_header(tmp_path):
    bomb(tmp_path / "bomb.png")
    with pytest.raises(BadPictureError, match="60000x60000 pixels are more than --max_pixels=100000000"):
        read_row(tmp_path / "bomb.png", Recipe(16, 16, 3))


def test_bad_files_say_what_is_wrong(tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.jpg").write_bytes(b"")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:1500])
    for name, reason in (
        ("text.png", "not a picture"),
        ("empty.jpg", "empty file"),
        ("cut.jpg", "truncated or damaged"),
    ):
        with pytest.raises(BadPictureError, match=reason):
            read_row(tmp_path / name, Recipe(16, 16, 3))


def test_damaged_exif_spoils_no_picture(tmp_path):
    """Each byte of a small EXIF block replaced in turn: the pixels are fine, so the picture is used."""
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.new("L", (16, 16), 50).save(tmp_path / "good.jpg", exif=exif)
    content = (tmp_path / "good.jpg").read_bytes()
    start = content.index(b"Exif")
    end = start - 2 + int.from_bytes(content[start - 2 : start], "big")
    for place in range(start, end):
        for value in (0, 0x7F, 0xFF):
            (tmp_path / "bad.jpg").write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            assert np.all(read_row(tmp_path / "bad.jpg", Recipe(16, 16, 1)) == 50)
