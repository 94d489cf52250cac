import errno
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.errors import UserError
from dcgan_tf.runs.checkpoints import Checkpoints


@pytest.fixture
def saved(tmp_path):
    """A variable with checkpoints at the steps 1, 2 and 3, whose value is the step."""
    variable = tf.Variable(tf.zeros(5000))
    checkpoints = Checkpoints(tmp_path, tf.train.Checkpoint(variable=variable), keep=3)
    for step in (1, 2, 3):
        variable.assign(tf.fill([5000], float(step)))
        checkpoints.save(step)
    variable.assign(tf.zeros(5000))
    return checkpoints, variable


def damage(directory: pathlib.Path, step: int, suffix: str, how: str) -> None:
    (file,) = (directory / f"step-{step:08d}").glob(f"checkpoint{suffix}*")
    content = bytearray(file.read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    elif how == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()


def test_restores_the_newest(saved):
    checkpoints, variable = saved
    assert checkpoints.restore() == 3
    assert np.all(variable.numpy() == 3)


def test_nothing_to_restore(tmp_path):
    checkpoint = tf.train.Checkpoint(variable=tf.Variable(0.0))
    assert Checkpoints(tmp_path / "none", checkpoint).restore() is None


@pytest.mark.parametrize("suffix", [".data", ".index"])
@pytest.mark.parametrize("how", ["flipped", "truncated", "empty", "missing"])
def test_damaged_newest_falls_back_and_says_so(saved, tmp_path, capsys, suffix, how):
    checkpoints, variable = saved
    damage(tmp_path, 3, suffix, how)
    assert checkpoints.restore() == 2
    assert np.all(variable.numpy() == 2)
    assert "checkpoint of step 3 is damaged" in capsys.readouterr().out


def test_all_damaged_is_an_error_not_a_fresh_start(saved, tmp_path):
    checkpoints, _ = saved
    for step in (1, 2, 3):
        damage(tmp_path, step, ".index", "truncated")
    with pytest.raises(UserError, match="none of the checkpoints"):
        checkpoints.restore()


def test_oldest_are_removed(saved):
    checkpoints, _ = saved
    checkpoints.save(4)
    assert checkpoints.steps() == [2, 3, 4]


def test_set_aside_after(saved, tmp_path):
    checkpoints, _ = saved
    checkpoints.set_aside_after(2)
    assert checkpoints.steps() == [1, 2]
    assert (tmp_path / "damaged-step-00000003" / "checkpoint.index").exists()


def test_half_written_checkpoint_is_not_seen(saved, tmp_path):
    checkpoints, _ = saved
    (tmp_path / ".writing").mkdir()
    (tmp_path / ".writing" / "checkpoint.index").write_text("half")
    assert checkpoints.steps() == [1, 2, 3]
    checkpoints.save(4)
    assert not (tmp_path / ".writing").exists()


def test_failed_write_keeps_the_others(saved, monkeypatch, tmp_path):
    checkpoints, variable = saved

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "rename", full)
    with pytest.raises(UserError, match=r"step 4 cannot be written.*No space left.*newest checkpoint is of step 3"):
        checkpoints.save(4)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-0000000{step}" for step in (1, 2, 3)]
    assert checkpoints.restore() == 3
    assert np.all(variable.numpy() == 3)
