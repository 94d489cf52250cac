import pathlib

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.drawing import animation
from dcgan_tf.drawing.animation import caption_grids, enlarge_images, require_format, save_animation
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.errors import UserError

GRAYS = (40, 120, 200)


@pytest.fixture
def frames():
    """Frames with odd sides."""
    return [Image.new("L", (61, 51), gray) for gray in GRAYS]


def test_gif_holds_its_last_frame(frames, tmp_path):
    save_animation(frames, tmp_path / "all.gif", frames_per_second=10, hold_seconds=1.5)
    with Image.open(tmp_path / "all.gif") as gif:
        assert (gif.n_frames, gif.size) == (3, (61, 51))
        durations = []
        for number in range(3):
            gif.seek(number)
            durations.append(gif.info["duration"])
        assert durations == [100, 100, 1600]
    assert [path.name for path in tmp_path.iterdir()] == ["all.gif"]


def test_video_holds_its_last_frame(frames, tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs imageio-ffmpeg: requirements/video.txt")
    save_animation(frames, tmp_path / "all.mp4", frames_per_second=4, hold_seconds=0.5)
    reader = ffmpeg.read_frames(str(tmp_path / "all.mp4"))
    facts = next(reader)
    pictures = [np.frombuffer(frame, np.uint8).reshape(52, 62, 3) for frame in reader]
    assert (facts["size"], facts["fps"], facts["codec"]) == ((62, 52), 4, "h264")
    middles = [int(picture[10:40, 10:40].mean()) for picture in pictures]
    np.testing.assert_allclose(middles, [*GRAYS, GRAYS[-1], GRAYS[-1]], atol=3)
    assert [path.name for path in tmp_path.iterdir()] == ["all.mp4"]


def test_captions_and_enlarging(tmp_path):
    save_png(np.full((50, 60, 1), 9, np.uint8), tmp_path / "0.png")
    (frame,) = caption_grids([tmp_path / "0.png"], ["step 7"])
    assert frame.size == (60, 70)
    assert (np.asarray(frame)[:50] == 9).all()
    assert 0 in np.asarray(frame)[50:]  # The caption
    assert [each.size for each in enlarge_images(np.zeros((2, 16, 16, 3), np.uint8))] == [(52, 52)] * 2


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(animation, "has_video", lambda: False)
    require_format(pathlib.Path("a.gif"))
    with pytest.raises(UserError, match=r"needs imageio-ffmpeg: pip install -r requirements/video\.txt"):
        require_format(pathlib.Path("a.mp4"))
