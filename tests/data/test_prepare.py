import contextlib
import dataclasses
import errno
import fcntl
import json
import os

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.config.making import make_config
from dcgan_tf.data import prepare as preparation
from dcgan_tf.data.bundled import MnistSource
from dcgan_tf.data.prepare import prepare, settle_length
from dcgan_tf.data.shards import ShardResult
from dcgan_tf.errors import UserError


@pytest.fixture
def prepared(tmp_path):
    config, data = prepare(make_config({"split": "train[:100]", "cache_dir": str(tmp_path)}))
    return config, data


def test_prepared_once_then_opened(prepared, monkeypatch):
    config, data = prepared

    def fail(*_):
        raise AssertionError("prepared again")

    monkeypatch.setattr(preparation, "_build", fail)
    again_config, again = prepare(config)
    assert again_config == config
    assert isinstance(again.images, np.memmap)
    assert not again.images.flags.writeable
    np.testing.assert_array_equal(again.images, data.images)
    assert data.images.shape == (100, 28, 28, 1)


@pytest.mark.parametrize("name", ["images.npy", "labels.npy", "info.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_damaged_cache_is_rebuilt_and_said(prepared, said, name, damage):
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
    assert "is damaged" in said.text


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (["checksums"], []),
        (["checksums", "images.npy"], None),
        (["bad_files"], "3"),
        (["bad_files"], -100),
        ([], None),
        ([], 5),
    ],
)
def test_information_of_wrong_types_is_damage(prepared, said, at, value):
    config, data = prepared
    file = data.directory / "info.json"
    information = json.loads(file.read_text())
    part = information
    for name in at[:-1]:
        part = part[name]
    if at:
        part[at[-1]] = value
    file.write_text(json.dumps(information if at else value))
    assert prepare(config)[1].digest == data.digest
    assert "is damaged" in said.text
    file.write_text("[" * 100_000)
    assert prepare(config)[1].digest == data.digest


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_data_that_cannot_be_read_just_now_stay(prepared, monkeypatch, number):
    config, data = prepared

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", fail)
        with pytest.raises(UserError, match=f"{os.strerror(number)}. Nothing was removed") as error:
            prepare(config)
    assert str(data.directory) in str(error.value)
    monkeypatch.setattr(preparation, "_build", fail)
    assert prepare(config)[1].digest == data.digest


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "Free some space"), (errno.EACCES, "Allow access to it")]
)
def test_data_that_cannot_be_written_name_the_place_and_the_way_on(tmp_path, monkeypatch, number, advice):
    config = make_config({"split": "train[:100]", "cache_dir": str(tmp_path)})

    def fail(*_):
        raise OSError(number, os.strerror(number))  # As in a decoder process: without the file's name

    with monkeypatch.context() as patch:
        patch.setattr(preparation, "write_header", fail)
        with pytest.raises(UserError, match=r"`cache_dir`: .* cannot be written to") as error:
            prepare(config)
    assert f"'{tmp_path}' ({os.strerror(number)}). {advice} and repeat the command to continue" in str(error.value)
    assert len(prepare(config)[1].images) == 100


def is_locked(lock):
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_lock_is_held_until_the_data_have_their_name(tmp_path, monkeypatch):
    """The lock's file stays, so that a process that is waiting and one that comes later lock the same file."""
    seen = []

    def rename(source, target):
        (lock,) = tmp_path.rglob("*lock*")
        seen.append((lock, lock.stat().st_ino, is_locked(lock)))
        os.replace(source, target)

    monkeypatch.setattr(preparation.os, "rename", rename)
    _, data = prepare(make_config({"split": "train[:100]", "cache_dir": str(tmp_path)}))
    ((lock, number, was_locked),) = seen
    assert was_locked
    assert lock.stat().st_ino == number
    assert not is_locked(lock)
    assert lock.parent != data.directory


def test_data_mended_by_another_process_are_not_removed(prepared, monkeypatch):
    config, data = prepared
    file = data.directory / "labels.npy"
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    locked = preparation.locked

    @contextlib.contextmanager
    def locked_after_another(directory, setting):
        with locked(directory, setting):
            file.write_bytes(content)
            yield

    monkeypatch.setattr(preparation, "locked", locked_after_another)
    monkeypatch.setattr(preparation, "_build", None)
    monkeypatch.setattr(preparation.shutil, "rmtree", None)
    assert prepare(config)[1].digest == data.digest


def test_interrupted_preparation_continues_with_the_first_unfinished_shard(tmp_path, monkeypatch):
    monkeypatch.setattr("dcgan_tf.data.shards.ROWS_PER_SHARD", 30)
    config = make_config({"split": "train[:100]", "cache_dir": str(tmp_path)})
    made = []

    def interrupted_at_the_third(self, directory):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(self.shard.first)
        save(self, directory)

    save = ShardResult.save
    monkeypatch.setattr(ShardResult, "save", interrupted_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        prepare(config)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".preparing")] == []

    converted = []
    map_shards = MnistSource.map_shards
    monkeypatch.setattr(ShardResult, "save", save)

    def recorded(self, work, shards):
        converted.extend(shard.first for shard in shards)
        return map_shards(self, work, shards)

    monkeypatch.setattr(MnistSource, "map_shards", recorded)
    (result,) = tmp_path.glob(".preparing-*/shard-30.json")
    result.write_text("")  # As after a power failure
    resumed = prepare(config)[1]
    assert made == [0, 30]
    assert converted == [30, 60, 90]
    straight = prepare(make_config({"split": "train[:100]", "cache_dir": str(tmp_path / "other")}))[1]
    np.testing.assert_array_equal(resumed.images, straight.images)
    np.testing.assert_array_equal(resumed.labels, straight.labels)
    assert sorted(path.name for path in resumed.directory.iterdir()) == ["images.npy", "info.json", "labels.npy"]


def test_settings_that_change_pixels_have_their_own_cache(prepared, tmp_path):
    config, data = prepared
    for changes in ({"image_size": "32"}, {"channels": "3"}, {"split": "test[:100]"}):
        _, other = prepare(dataclasses.replace(config, data_digest="", **changes))
        assert other.directory != data.directory
        assert not np.array_equal(other.images, data.images)
    assert json.loads((data.directory / "info.json").read_text())["source"] == "mnist/3.0.1"


def test_batch_larger_than_the_data_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"`batch_size`: expected at most the 100 images.*Received: 128"):
        prepare(make_config({"split": "train[:100]", "batch_size": 128, "cache_dir": str(tmp_path)}))


def test_epochs_become_steps(tmp_path):
    typed = {"split": "train[:100]", "batch_size": 64, "epochs": 3.0, "cache_dir": str(tmp_path)}
    assert prepare(make_config(typed))[0].steps == 5  # 300 images in batches of 64, rounded up


def test_rates_that_reach_zero_before_the_last_epoch_are_refused():
    """Three epochs of 100 images in batches of 64 are 5 steps."""
    typed = {"batch_size": 64, "epochs": 3.0, "learning_rate_decay": "linear"}
    assert settle_length(make_config({**typed, "learning_rate_decay_steps": 5}), 100).steps == 5
    with pytest.raises(UserError, match=r"`learning_rate_decay_steps=4`, but `epochs=3` \(5 steps\) is longer"):
        settle_length(make_config({**typed, "learning_rate_decay_steps": 4}), 100)
    exponential = {**typed, "learning_rate_decay": "exponential", "learning_rate_decay_steps": 4}
    assert settle_length(make_config(exponential), 100).steps == 5


def test_data_that_changed_since_the_run_began_are_refused(prepared):
    config, data = prepared
    assert config.data_digest == data.digest
    assert config.class_names == tuple("0123456789")
    with pytest.raises(UserError, match="have changed since this run began"):
        prepare(dataclasses.replace(config, data_digest="0123"))


def test_rows_are_read_as_the_map_shows_them(prepared):
    _, data = prepared
    rows = np.array([99, 0, 7, 7])
    np.testing.assert_array_equal(data.read(rows), data.images[rows])


def test_file_cut_off_in_use_is_an_error(prepared):
    _, data = prepared
    os.truncate(data.directory / "images.npy", 5000)
    with pytest.raises(OSError, match="were cut off while in use"):
        data.read(np.array([99]))


def test_conditional_needs_classes(tmp_path):
    for number in range(4):
        Image.fromarray(np.full((16, 16), number, np.uint8)).save(tmp_path / f"{number}.png")
    config = make_config({"dataset": "folder", "data_dir": str(tmp_path), "conditional": True, "batch_size": 2})
    with pytest.raises(UserError, match="`conditional=True`: folder has no classes"):
        prepare(config)


def test_class_without_an_image_is_refused_where_the_data_can_be_changed(tmp_path, said):
    """Either all pictures of one class are damaged, or a part of a split holds none of that class."""
    for number in range(8):
        path = tmp_path / ("bars" if number < 6 else "frames") / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 16), number, np.uint8)).save(path)
        if number >= 6:
            path.write_bytes(path.read_bytes()[:40])
    folder = {"dataset": "folder", "data_dir": str(tmp_path), "batch_size": 2, "max_bad_share": 0.5}
    part = {"split": "train[:8]", "batch_size": 2}
    for typed, expected in (
        (folder, "folder (train) has no image of 1 of its 2 classes, such as 'frames'"),
        (part, "mnist (train[:8]) has no image of "),
    ):
        with pytest.raises(UserError) as error:
            prepare(make_config({**typed, "conditional": True, "augment": "ada"}))
        assert expected in str(error.value)
        assert error.value.field == "conditional"
        config, _ = prepare(make_config(typed))
        prepare(dataclasses.replace(config, conditional=True))  # A run that has begun continues.

    whole = make_config({"dataset": "emnist/letters", "conditional": True})
    preparation._refuse_empty_classes(dataclasses.replace(whole, class_names=("0", "1", "2")), np.array([2, 1, 2]))
    assert "emnist/letters (train) has no image of 1 of its 3 classes, such as '0'" in said.text


def test_blocks_are_checked_and_used_once_the_size_is_known(tmp_path):
    with pytest.raises(UserError, match="`image_size`: 64 pixels can be halved at most 5 times, not 6"):
        prepare(make_config({"split": "train[:100]", "blocks": 6}))
    for number in range(4):
        Image.fromarray(np.full((50, 50), number, np.uint8)).save(tmp_path / f"{number}.png")
    folder = {"dataset": "folder", "data_dir": str(tmp_path), "batch_size": 2}
    assert prepare(make_config({**folder, "blocks": 3}))[0].image_size == "50"
    assert prepare(make_config({**folder, "blocks": 5}))[0].image_size == "50"
    assert prepare(make_config(folder))[0].image_size == "50"
