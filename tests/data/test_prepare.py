import dataclasses
import json

import numpy as np
import pytest

from dcgan_tf.config import make_config
from dcgan_tf.data import prepare as preparation
from dcgan_tf.data.prepare import fit, prepare
from dcgan_tf.errors import UserError


@pytest.fixture
def prepared(tmp_path):
    config, data = prepare(make_config({"split": "train[:100]", "cache_dir": str(tmp_path)}))
    return config, data


def test_prepared_once_then_opened(prepared, monkeypatch):
    config, data = prepared

    def fail(*_):
        raise AssertionError("prepared again")

    monkeypatch.setattr(preparation, "find_source", fail)
    again_config, again = prepare(config)
    assert again_config == config
    assert isinstance(again.images, np.memmap)
    assert not again.images.flags.writeable
    np.testing.assert_array_equal(again.images, data.images)
    assert data.images.shape == (100, 28, 28, 1)


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "info.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_damaged_cache_is_rebuilt_and_said(prepared, capsys, name, damage):
    config, data = prepared
    wanted = np.array(data.images)
    file = data.directory / name
    content = bytearray(file.read_bytes())
    if damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    else:
        file.unlink()
    _, again = prepare(config)
    np.testing.assert_array_equal(again.images, wanted)
    assert "is damaged" in capsys.readouterr().out


def test_interrupted_preparation_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(preparation, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepare(make_config({"split": "train[:100]", "cache_dir": str(tmp_path)}))
    assert list(tmp_path.iterdir()) == []


def test_settings_that_change_pixels_have_their_own_cache(prepared, tmp_path):
    config, data = prepared
    for changes in ({"image_size": "32"}, {"channels": "3"}, {"split": "test[:100]"}):
        _, other = prepare(dataclasses.replace(config, **changes))
        assert other.directory != data.directory
        assert not np.array_equal(other.images, data.images)
    assert json.loads((data.directory / "info.json").read_text())["source"] == "mnist/3.0.1"


def test_batch_larger_than_the_data_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--batch_size: expected at most the 100 images.*Received: 128"):
        prepare(make_config({"split": "train[:100]", "batch_size": 128, "cache_dir": str(tmp_path)}))


def test_epochs_become_steps(tmp_path):
    typed = {"split": "train[:100]", "batch_size": 64, "epochs": 3.0, "cache_dir": str(tmp_path)}
    assert prepare(make_config(typed))[0].steps == 5  # 300 images in batches of 64, the last one begun


def test_fit_keeps_what_fits():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert fit(image, 4, 4, 3) is image


def test_fit_crops_the_centre_to_the_aspect_ratio():
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 200  # The middle third is what a square keeps.
    assert np.all(fit(image, 20, 20, 3) == 200)
    assert fit(image, 16, 24, 3).shape == (16, 24, 3)


def test_fit_antialiases():
    stripes = np.tile(np.array([[0], [255]], np.uint8), (64, 128))[:, :, None]
    shrunk = fit(stripes, 16, 16, 1)
    assert abs(shrunk.astype(int) - 127).max() < 20  # Without antialiasing the stripes would turn all black or white.


def test_fit_converts_channels():
    gray = np.full((8, 8, 1), 77, np.uint8)
    assert np.all(fit(gray, 8, 8, 3) == 77)
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    assert np.all(fit(red, 8, 8, 1) == 76)  # ITU-R 601: 0.299 of 255
