import os
import signal
import socket
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from dcgan_tf.config.settings import Config
from dcgan_tf.data.pictures import BadPictureError, Limits, Recipe, load_picture, make_row, memory_for
from dcgan_tf.errors import UserError


def row(array, height=4, width=4, channels=3, mode=None, **settings):
    """The data row of a picture that is given as an array."""
    picture = Image.fromarray(np.asarray(array, np.uint8)) if mode is None else Image.fromarray(array, mode)
    return make_row(picture, Recipe(height, width, channels, **settings))


def read_row(path, recipe):
    return make_row(load_picture(path, recipe.limits), recipe)


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
    assert np.all(cut[2:-2, 2:-2] == 90)  # The resizing filter reaches a little beyond the edge.
    assert cut.min() > 70
    assert np.mean(row(pixels, 64, 64) == 90) < 0.6
    assert row(np.full((50, 40, 3), 7), 16, 16, crop_size=108).mean() == 7  # A smaller picture is used as it is.


def test_random_crop_leaves_a_margin():
    recipe = Recipe.of(Config(image_size="64x32", channels="3", crop="random"))
    assert (recipe.height, recipe.width) == (72, 36)


def test_resizing_is_antialiased():
    stripes = np.tile([[0, 255]], (64, 64))
    assert abs(row(stripes, 16, 16, 1).astype(int) - 127).max() < 20  # Otherwise, all would be black or white.


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
        ("LAB", (128, 128, 128), (119, 119, 119), 119),
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
    frames = [Image.new("RGB", (24, 16), color) for color in ((200, 30, 60), (0, 255, 0))]
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
    """Writes a PNG of about a hundred bytes whose header claims 60,000 x 60,000 pixels."""
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(bytes(content[12:29])).to_bytes(4, "big")
    path.write_bytes(content)


def test_pixel_bomb_is_refused_from_its_header(tmp_path):
    bomb(tmp_path / "bomb.png")
    with pytest.raises(BadPictureError, match="60000x60000 pixels are more than `max_pixels=100000000`"):
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
    """Replaces each byte of a small EXIF block in turn: the pixels are fine, so the picture is used."""
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


def png_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(size, depth, color, scanlines, transparent):
    """The bytes of a PNG file with a transparent color (tRNS)."""
    header = struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + line for line in scanlines))
    chunks = ((b"IHDR", header), (b"tRNS", transparent), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


@pytest.mark.parametrize(
    ("depth", "color", "scanline", "transparent", "expected"),
    [
        (1, 0, bytes([0b01000000]), struct.pack(">H", 1), [0, 7]),
        (2, 0, bytes([0b01110000]), struct.pack(">H", 3), [85, 7]),
        (4, 0, bytes([0x2F]), struct.pack(">H", 15), [34, 7]),
        (8, 0, bytes([2, 15]), struct.pack(">H", 15), [2, 7]),
        (16, 0, struct.pack(">2H", 257 * 40, 51400), struct.pack(">H", 51400), [40, 7]),
        (16, 0, struct.pack(">2H", 65534, 65535), struct.pack(">H", 65535), [255, 7]),
        (8, 2, bytes([9, 9, 9, 9, 9, 8]), bytes([0, 9, 0, 9, 0, 8]), [9, 7]),
        (16, 2, struct.pack(">6H", 2570, 2570, 2570, 2570, 2570, 300), struct.pack(">3H", 2570, 2570, 300), [10, 7]),
    ],
)
def test_transparent_color_of_any_depth_shows_the_background(tmp_path, depth, color, scanline, transparent, expected):
    (tmp_path / "clear.png").write_bytes(png((2, 1), depth, color, [scanline], transparent))
    for channels in (1, 3):
        made = read_row(tmp_path / "clear.png", Recipe(1, 2, channels, background="#070707"))
        assert made[0, :, 0].tolist() == expected


def test_palette_with_an_alpha_for_each_entry(tmp_path):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "half.png", transparency=bytes([255, 128]))
    assert np.all(read_row(tmp_path / "half.png", Recipe(4, 4, 3, background="black")) == (0, 0, 128))


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000", "EPS", "PPM", "TGA", "ICO", "DDS", "PCX"])
def test_other_formats_are_no_pictures_whatever_their_name(tmp_path, kind):
    Image.new("RGB", (16, 16)).save(tmp_path / "strange.png", format=kind)
    Image.open(tmp_path / "strange.png").close()  # Pillow itself would read it.
    with pytest.raises(BadPictureError, match="not a picture in a supported format"):
        read_row(tmp_path / "strange.png", Recipe(16, 16, 3))


def test_first_of_several_pictures_in_a_jpeg_file(tmp_path):
    Image.new("L", (16, 16), 200).save(
        tmp_path / "two.jpg", format="MPO", save_all=True, append_images=[Image.new("L", (16, 16))]
    )
    assert load_picture(tmp_path / "two.jpg", Limits()).format == "MPO"
    assert np.all(read_row(tmp_path / "two.jpg", Recipe(16, 16, 1)) == 200)


@pytest.fixture
def patience():
    """Ends a test that hangs."""

    def end(*_):
        raise AssertionError("hangs")

    previous = signal.signal(signal.SIGALRM, end)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device", "socket", "folder"])
def test_only_regular_files_are_opened(tmp_path, monkeypatch, patience, kind):
    monkeypatch.chdir(tmp_path)  # The path of a socket must be short.
    if kind == "device":
        os.symlink("/dev/zero", "z.png")
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind("z.png")
    elif kind == "folder":
        os.mkdir("z.png")
    else:
        os.mkfifo("pipe")
        os.symlink("pipe", "z.png") if kind.startswith("link") else os.rename("pipe", "z.png")
    with pytest.raises(BadPictureError, match="not a regular file"):
        read_row(tmp_path / "z.png", Recipe(16, 16, 3))


def test_link_to_a_picture_is_followed(tmp_path):
    Image.new("L", (4, 4), 9).save(tmp_path / "real.png")
    os.symlink("real.png", tmp_path / "link.png")
    assert np.all(read_row(tmp_path / "link.png", Recipe(4, 4, 1)) == 9)


@pytest.mark.parametrize("size", [(70_000, 1), (1, 70_000)])
def test_longest_side_is_limited(tmp_path, size):
    Image.new("L", size, 5).save(tmp_path / "long.png")
    with pytest.raises(BadPictureError, match=f"{size[0]}x{size[1]} pixels are more than `max_side=65535` on one side"):
        read_row(tmp_path / "long.png", Recipe(16, 16, 1))
    allowed = Recipe(16, 16, 1, crop="none", limits=Limits(max_side=70_000))
    assert np.all(read_row(tmp_path / "long.png", allowed) == 5)


def test_failure_to_convert_or_resize_is_the_pictures(monkeypatch):
    def fail(*_, **__):
        raise ValueError("unknown mode")

    monkeypatch.setattr(Image.Image, "resize", fail)
    with pytest.raises(BadPictureError, match="unknown mode"):
        row(np.zeros((8, 8, 3)))


def test_picture_for_which_the_memory_does_not_suffice_is_named():
    with (
        pytest.raises(UserError, match=r"^'a\\x1b.png': not enough memory.*`max_pixels` or `max_side`"),
        memory_for("a\x1b.png"),
    ):
        raise MemoryError


def icc(space, connection, tags):
    """The bytes of a color profile (ICC.1:2010)."""
    table, content, start = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        table += name.encode() + struct.pack(">II", start + len(content), len(value))
        content += value + bytes(-len(value) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s28x", start + len(content), 0x0430_0000, b"mntr", space, connection, b"acsp")
    return head + fixed(0.9642, 1, 0.8249) + bytes(48) + struct.pack(">I", len(tags)) + table + content


def fixed(*values):
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def matrix_profile(matrix):
    """An RGB profile with the curve of sRGB; the columns of the matrix are the XYZ of red, green and blue."""
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    columns = {f"{c}XYZ": b"XYZ " + bytes(4) + fixed(*column) for c, column in zip("rgb", matrix.T, strict=True)}
    return icc(b"RGB ", b"XYZ ", {**columns, **{f"{c}TRC": curve for c in "rgb"}})


# The XYZ of the primaries, adapted to D50, of Apple's Display P3 profile and of sRGB
DISPLAY_P3 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def srgb_of_display_p3(pixels):
    """The sRGB values of Display P3 pixels, by the definitions of both color spaces."""
    encoded = pixels / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.linalg.solve(SRGB, DISPLAY_P3).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_color_profile_is_applied(tmp_path, ending):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"p3.{ending}", icc_profile=matrix_profile(DISPLAY_P3), lossless=True)
    made = read_row(tmp_path / f"p3.{ending}", Recipe(16, 16, 3)).astype(int)
    assert np.abs(made - pixels).max() > 50
    assert np.abs(made - srgb_of_display_p3(pixels)).max() <= 1.5
    gray = read_row(tmp_path / f"p3.{ending}", Recipe(16, 16, 1))
    assert np.abs(gray[..., 0] - made @ [0.299, 0.587, 0.114]).max() <= 1


def test_color_profile_beside_transparency(tmp_path):
    pixels = np.full((4, 4, 4), (255, 0, 0, 51), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p3.png", icc_profile=matrix_profile(DISPLAY_P3))
    Image.fromarray(np.full((4, 4, 3), (200, 120, 40), np.uint8)).quantize().save(
        tmp_path / "palette.png", icc_profile=matrix_profile(DISPLAY_P3)
    )
    assert read_row(tmp_path / "p3.png", Recipe(4, 4, 3, background="#0064ff"))[0, 0].tolist() == [51, 80, 204]
    palette = read_row(tmp_path / "palette.png", Recipe(4, 4, 3)).astype(int)
    assert np.abs(palette - srgb_of_display_p3(np.array([[200, 120, 40]]))).max() <= 1.5


@pytest.mark.parametrize(
    "profile",
    [
        matrix_profile(SRGB),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        matrix_profile(DISPLAY_P3)[:200],
        b"no profile",
        icc(b"GRAY", b"XYZ ", {"kTRC": b"curv" + bytes(8)}),
    ],
    ids=["sRGB", "Pillow's sRGB", "cut off", "text", "of another mode"],
)
def test_pixels_stay_where_a_profile_is_srgb_or_of_no_use(tmp_path, profile):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "same.png", icc_profile=profile)
    np.testing.assert_array_equal(read_row(tmp_path / "same.png", Recipe(64, 64, 3)), pixels)


@pytest.mark.parametrize("bits", [8, 16])
def test_gray_profile_is_applied(tmp_path, bits):
    linear = icc(b"GRAY", b"XYZ ", {"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249), "kTRC": b"curv" + bytes(8)})
    pixels = np.full((4, 4), 55 if bits == 8 else 257 * 55, np.uint8 if bits == 8 else np.uint16)
    Image.fromarray(pixels).save(tmp_path / "linear.png", icc_profile=linear)
    expected = round(255 * (1.055 * (55 / 255) ** (1 / 2.4) - 0.055))
    for channels in (1, 3):
        made = read_row(tmp_path / "linear.png", Recipe(4, 4, channels)).astype(int)
        assert np.abs(made - expected).max() <= 1
        assert np.ptp(made) == 0


def test_cmyk_profile_is_applied(tmp_path):
    """The profile's inks differ from those of the usual formula: full cyan is gray with L* = 50."""
    colors = np.zeros((2, 2, 2, 2, 3), np.uint8)  # L*, a*, b* for each cyan, magenta, yellow and black
    colors[..., 1:] = 128
    colors[0, 0, 0, 0, 0], colors[1, 0, 0, 0, 0] = 255, 128
    straight = bytes(range(256))
    table = b"mft1" + bytes(4) + struct.pack(">BBBx", 4, 3, 2) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    profile = icc(b"CMYK", b"Lab ", {"A2B0": table + 4 * straight + colors.tobytes() + 3 * straight})
    for ink, expected in (((0, 0, 0, 0), 255), ((255, 0, 0, 0), 119), ((0, 0, 0, 255), 0)):
        Image.new("CMYK", (16, 16), ink).save(tmp_path / "inks.jpg", icc_profile=profile, quality=100)
        for channels in (1, 3):
            made = read_row(tmp_path / "inks.jpg", Recipe(16, 16, channels)).astype(int)
            assert np.abs(made - expected).max() <= 2


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"key\0\0" + zlib.compress(bytes(17 << 20))),
        (b"iTXt", b"key\0\1\0\0\0" + zlib.compress(bytes(17 << 20))),
        (b"tEXt", b"key\0" + bytes(2 << 20)),
        (b"iCCP", b"key\0\0" + zlib.compress(bytes(17 << 20))),
        (b"iCCP", b"key"),
        (b"zTXt", b"key\0\7"),
        (b"pHYs", b"1"),
        (b"sRGB", b""),
    ],
    ids=lambda chunk: f"{chunk[0].decode()} of {len(chunk[1])}",
)
def test_too_large_or_damaged_metadata_spoil_no_png(tmp_path, chunk, place):
    Image.new("L", (16, 16), 50).save(tmp_path / "plain.png")
    content = (tmp_path / "plain.png").read_bytes()
    position = 33 if place == "before" else len(content) - 12
    for added in (png_chunk(*chunk), png_chunk(*chunk)[:-4] + b"sum?"):
        (tmp_path / "much.png").write_bytes(content[:position] + added + content[position:])
        assert np.all(read_row(tmp_path / "much.png", Recipe(16, 16, 1)) == 50)


def test_large_profile_is_still_applied(tmp_path):
    profile = matrix_profile(DISPLAY_P3) + bytes(2 << 20)
    profile = struct.pack(">I", len(profile)) + profile[4:]
    Image.new("RGB", (4, 4), (200, 120, 40)).save(tmp_path / "large.png", icc_profile=profile)
    made = read_row(tmp_path / "large.png", Recipe(4, 4, 3)).astype(int)
    assert np.abs(made - srgb_of_display_p3(np.array([[200, 120, 40]]))).max() <= 1.5
