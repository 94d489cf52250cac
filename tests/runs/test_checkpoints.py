import dataclasses
import errno
import json
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from dcgan_tf.generation.networks import load_networks
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from dcgan_tf.runs.checkpoints import UNRECORDED, Checkpoints, best_first
from dcgan_tf.runs.records import QUICK_METRIC
from dcgan_tf.runs.run_directory import Run
from tests.test_files import refuse_to_remove


def make(directory, size=5000, **others):
    variable = tf.Variable(tf.zeros(size))
    return Checkpoints(directory, tf.train.Checkpoint(variable=variable, **others), keep=3), variable


@pytest.fixture
def saved(tmp_path):
    """A variable with checkpoints at the steps 1, 2 and 3, whose value is the step."""
    checkpoints, variable = make(tmp_path)
    for step in (1, 2, 3):
        variable.assign(tf.fill([5000], float(step)))
        checkpoints.save(step)
    variable.assign(tf.zeros(5000))
    return checkpoints, variable


def file_of(directory: pathlib.Path, step: int, suffix: str) -> pathlib.Path:
    (file,) = (directory / f"step-{step:08d}").glob(f"checkpoint{suffix}*")
    return file


def damage(directory: pathlib.Path, step: int, suffix: str, how: str) -> None:
    file = file_of(directory, step, suffix)
    content = bytearray(file.read_bytes())
    file.unlink()
    if how == "flipped":
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(content)
    elif how == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "a folder":
        file.mkdir()


def test_restores_the_newest(saved):
    checkpoints, variable = saved
    assert checkpoints.restore() == 3
    assert np.all(variable.numpy() == 3)


def test_nothing_to_restore(tmp_path):
    checkpoint = tf.train.Checkpoint(variable=tf.Variable(0.0))
    assert Checkpoints(tmp_path / "none", checkpoint).restore() is None


@pytest.mark.parametrize("suffix", [".data", ".index"])
@pytest.mark.parametrize("how", ["flipped", "truncated", "empty", "missing", "a folder"])
def test_damaged_newest_falls_back_and_says_so(saved, tmp_path, caplog, suffix, how):
    checkpoints, variable = saved
    damage(tmp_path, 3, suffix, how)
    assert checkpoints.restore() == 2
    assert np.all(variable.numpy() == 2)
    assert "checkpoint of step 3 is damaged" in caplog.text


def test_every_changed_byte_is_noticed_or_harmless(tmp_path):
    checkpoints, variable = make(tmp_path, size=20)
    variable.assign(tf.range(20.0))
    checkpoints.save(1)
    for suffix in (".data", ".index"):
        file = file_of(tmp_path, 1, suffix)
        whole = file.read_bytes()
        noticed = 0
        for place in range(len(whole)):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x81]) + whole[place + 1 :])
            variable.assign(tf.zeros(20))
            try:
                checkpoints.restore()
            except UserError as error:
                assert str(error).startswith("damaged checkpoints in ")  # noqa: PT017
                noticed += 1
            else:
                assert variable.numpy().tolist() == list(range(20))
        file.write_bytes(whole)
        assert noticed > 0.5 * len(whole)


def test_all_damaged_is_an_error_not_a_fresh_start(saved, tmp_path):
    checkpoints, _ = saved
    for step in (1, 2, 3):
        damage(tmp_path, step, ".index", "truncated")
    with pytest.raises(UserError) as error:
        checkpoints.restore()
    assert str(error.value).startswith(f"damaged checkpoints in '{tmp_path}': step 3, 2, 1. No other is left")
    assert "emove that" not in str(error.value)


@pytest.mark.parametrize("suffix", [".data", ".index"])
def test_unreadable_is_not_damaged(saved, tmp_path, suffix):
    """A real I/O error: this file opens but cannot be read."""
    checkpoints, _ = saved
    file = file_of(tmp_path, 3, suffix)
    file.unlink()
    file.symlink_to("/proc/self/mem")
    with pytest.raises(UserError) as error:
        checkpoints.restore()
    assert str(error.value).startswith("the checkpoint of step 3 cannot be read: Input/output error: ")
    checkpoints.set_aside_damaged()
    assert checkpoints.steps() == [1, 2, 3]


def test_forbidden_is_not_damaged(saved, tmp_path, monkeypatch):
    checkpoints, _ = saved
    forbidden = file_of(tmp_path, 3, ".data")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(forbidden))

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(tf.train.Checkpoint, "read", refuse)
    with pytest.raises(UserError) as error:
        checkpoints.restore()
    expected = f"the checkpoint of step 3 cannot be read: Permission denied: '{forbidden}'. It may be intact"
    assert str(error.value).startswith(expected)


@pytest.mark.parametrize(
    ("others", "reason"),
    [({"size": 4999}, "incompatible tensor with shape"), ({"more": tf.Variable(1.0)}, "not bound")],
)
def test_whole_checkpoint_of_other_networks_is_not_damaged(saved, tmp_path, others, reason):
    other, _ = make(tmp_path, **others)
    with pytest.raises(UserError) as error:
        other.restore()
    assert str(error.value).startswith(f"the checkpoint of step 3 in '{tmp_path}' is intact but cannot be restored")
    assert reason in str(error.value)
    assert "config.json" in str(error.value)
    other.set_aside_damaged()
    assert saved[0].restore() == 3


def test_oldest_are_removed(saved):
    checkpoints, _ = saved
    checkpoints.save(4)
    assert checkpoints.steps() == [2, 3, 4]


def test_a_process_killed_while_it_removes_a_checkpoint_leaves_no_half_of_it(saved, tmp_path, monkeypatch):
    checkpoints, _ = saved

    def killed(path):
        next(path.iterdir()).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dcgan_tf.files.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(4)
    assert checkpoints.steps() == [2, 3, 4]
    checkpoints.save(5)
    assert checkpoints.steps() == [3, 4, 5]
    assert not list(tmp_path.glob(".*"))


def test_what_cannot_be_removed_does_not_stop_training(saved, tmp_path, monkeypatch, caplog):
    """It is named once, although each later checkpoint tries again."""
    checkpoints, _ = saved
    refuse_to_remove(monkeypatch, ".removing-step-00000001")
    checkpoints.save(4)
    assert checkpoints.steps() == [2, 3, 4]
    checkpoints.save(5)
    assert checkpoints.steps() == [3, 4, 5]
    (message,) = caplog.messages
    assert message.startswith(f"'{tmp_path}/.removing-step-00000001' could not be removed (Permission denied: ")


def test_only_the_name_that_is_needed_stops_a_checkpoint(saved, tmp_path, monkeypatch):
    checkpoints, _ = saved
    (tmp_path / ".writing").mkdir()
    refuse_to_remove(monkeypatch, ".writing")
    with pytest.raises(UserError, match=r"step 4 cannot be written.*Permission denied.*Allow access to it and repeat"):
        checkpoints.save(4)
    assert checkpoints.steps() == [1, 2, 3]


def test_what_a_process_killed_after_its_last_checkpoint_left_is_removed(saved, tmp_path):
    (tmp_path / ".removing-step-00000000").mkdir()
    fewer = Checkpoints(tmp_path, tf.train.Checkpoint(variable=saved[1]), keep=1)
    before = file_of(tmp_path, 3, ".data").stat()
    fewer.save(3, best=1)
    assert fewer.steps() == [1, 3]
    assert file_of(tmp_path, 3, ".data").stat() == before
    assert not list(tmp_path.glob(".*"))


def test_checkpoint_that_is_removed_while_it_is_read_is_not_called_damaged(saved, tmp_path, monkeypatch, caplog):
    checkpoints, _ = saved

    def read(*_):
        shutil.rmtree(tmp_path / "step-00000003")
        raise tf.errors.NotFoundError(None, None, "no such file")

    monkeypatch.setattr(tf.train.Checkpoint, "read", read)
    with pytest.raises(
        UserError, match=r"^the checkpoint of step 3 in '.*' was removed by another process while it was"
    ):
        checkpoints.restore()
    assert not caplog.messages


@pytest.mark.parametrize(
    "content", [None, b"", b"5", b"[1]", b'{"a": "x"}', b'{"a": null}', b"\xff" * 9, b"[" * 100_000]
)
def test_sums_since_the_last_record_travel_along(saved, tmp_path, content):
    """Sums count as absent where they cannot be read, or where an older release wrote none."""
    checkpoints, _ = saved
    sums = {"steps": 3.0, "a": 1 / 3}
    checkpoints.save(4, unrecorded=sums)
    assert checkpoints.unrecorded(4) == sums
    assert checkpoints.unrecorded(3) == checkpoints.unrecorded(99) == {}
    file = tmp_path / "step-00000004" / UNRECORDED
    file.unlink() if content is None else file.write_bytes(content)
    assert checkpoints.unrecorded(4) == {}
    assert checkpoints.restore() == 4


def test_only_what_was_found_damaged_is_set_aside(saved, tmp_path):
    checkpoints, _ = saved
    damage(tmp_path, 3, ".data", "flipped")
    assert checkpoints.restore([1]) == 1
    checkpoints.set_aside_damaged()
    assert checkpoints.steps() == [1, 2, 3]
    assert checkpoints.restore() == 2
    checkpoints.set_aside_damaged()
    assert checkpoints.steps() == [1, 2]
    assert (tmp_path / "damaged-step-00000003" / "checkpoint.index").exists()


def test_a_damaged_one_that_cannot_be_renamed_is_one_line(saved, tmp_path, monkeypatch):
    checkpoints, _ = saved
    damage(tmp_path, 3, ".data", "flipped")
    assert checkpoints.restore() == 2

    def refuse(path, _):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(pathlib.Path, "rename", refuse)
    with pytest.raises(UserError, match=r"step-00000003' cannot be renamed: .*Permission denied.*Allow access"):
        checkpoints.set_aside_damaged()


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_was_half_written_is_not_seen(saved, tmp_path, kind):
    checkpoints, _ = saved
    (tmp_path / "mine").mkdir()
    unfinished = tmp_path / ".writing"
    if kind == "folder":
        unfinished.mkdir()
        (unfinished / "checkpoint.index").write_text("half")
    elif kind == "file":
        unfinished.write_text("half")
    else:
        unfinished.symlink_to(tmp_path / "mine")
    assert checkpoints.steps() == [1, 2, 3]
    checkpoints.save(4)
    assert checkpoints.restore() == 4
    assert not unfinished.exists()
    assert (tmp_path / "mine").is_dir()


@pytest.mark.parametrize(
    "name",
    [
        "step-11",
        "step-000000011",
        "step-0000001²",
        "step-\u0660\u0660\u0660\u0660\u0660\u0660\u0661\u0661",
        "step-00000011x",
    ],
)
def test_foreign_folders_are_no_checkpoints(saved, tmp_path, name):
    checkpoints, _ = saved
    (tmp_path / name).mkdir()
    (tmp_path / "step-00000009").write_text("a file")
    assert checkpoints.steps() == [1, 2, 3]
    assert checkpoints.restore() == 3
    checkpoints.save(4)
    assert (tmp_path / name).exists()


def test_file_in_the_place_of_a_checkpoint_is_named(saved, tmp_path):
    checkpoints, _ = saved
    (tmp_path / "step-00000004").write_text("mine")
    with pytest.raises(UserError, match=r"step 4 cannot be written.*step-00000004'.*Remove the cause and repeat"):
        checkpoints.save(4)
    assert (tmp_path / "step-00000004").read_text() == "mine"


def test_failed_write_keeps_the_others(saved, monkeypatch, tmp_path):
    checkpoints, variable = saved

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "rename", full)
    with pytest.raises(
        UserError,
        match=r"step 4 cannot be written.*No space left.*newest checkpoint is of step 3. Free some space and repeat",
    ):
        checkpoints.save(4)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"step-0000000{step}" for step in (1, 2, 3)]
    assert checkpoints.restore() == 3
    assert np.all(variable.numpy() == 3)


def test_run_that_is_gone_is_not_replaced_by_a_checkpoint(tmp_path):
    """A folder with nothing else could be neither resumed nor begun again."""
    checkpoints, _ = make(tmp_path / "run" / "checkpoints")
    with pytest.raises(UserError, match=r"step 4 cannot be written.*No such file.*is none yet. Restore it and"):
        checkpoints.save(4)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with checkpoints at the steps 1 to 4. The best is 2, then 4; 1 has no evaluation.

    The last bias of the generator equals the step.
    """
    small = {"architecture": "mlp", "generator_filters": "4", "discriminator_filters": "4", "image_size": "16"}
    run = Run(tmp_path_factory.mktemp("run"), dataclasses.replace(Config(), channels="1", **small))
    run.save_config()
    generator, discriminator = configured_generator(run.config, seed=0), configured_discriminator(run.config, seed=0)
    # Training saves more than sampling reads.
    checkpoint = tf.train.Checkpoint(step=tf.Variable(0), ema_generator=generator, discriminator=discriminator)
    checkpoints = Checkpoints(run.checkpoints, checkpoint, keep=4)
    for step in (1, 2, 3, 4):
        generator.trainable_variables[-1].assign(np.full(256, float(step)))
        checkpoints.save(step)
    records = [{"step": step, QUICK_METRIC: distance} for step, distance in ((2, 5.0), (3, 9.0), (4, 7.0))]
    run.metrics_file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return run


def test_order_is_by_the_evaluations_and_then_from_the_newest(trained):
    assert list(best_first(trained, [1, 2, 3, 4, 5])) == [2, 4, 3, 5, 1]


@pytest.mark.parametrize(
    ("checkpoint", "damaged", "expected"),
    [("best", [], 2), ("latest", [], 4), ("3", [], 3), ("003", [], 3), ("best", [2], 4), ("best", [2, 4], 3)],
)
def test_the_best_that_is_whole_is_loaded(trained, tmp_path, checkpoint, damaged, expected):
    run = dataclasses.replace(trained, directory=shutil.copytree(trained.directory, tmp_path / "run"))
    for step in damaged:
        damage(run.checkpoints, step, ".data", "truncated")
    before = sorted(run.directory.rglob("*"))
    networks = load_networks(run, checkpoint)
    assert networks.step == expected
    assert np.all(networks.generator.trainable_variables[-1].numpy() == expected)
    assert sorted(run.directory.rglob("*")) == before  # Reading changes nothing.
    load_networks(run, checkpoint, set_aside_damaged=True)  # But the owner of the run may.
    assert len(list(run.checkpoints.glob("damaged-*"))) == len(damaged)


@pytest.mark.parametrize("checkpoint", ["5", "03x", "²", "-1", "newest", "", "9" * 5000])
def test_unknown_checkpoint_is_refused(trained, checkpoint):
    with pytest.raises(UserError, match="expected best, latest, or one of the steps 1, 2, 3, 4"):
        load_networks(trained, checkpoint)


def test_named_checkpoint_that_is_damaged_is_not_replaced_by_another(trained, tmp_path):
    run = dataclasses.replace(trained, directory=shutil.copytree(trained.directory, tmp_path / "run"))
    damage(run.checkpoints, 3, ".data", "truncated")
    with pytest.raises(
        UserError, match=r"damaged checkpoints in '.*': step 3. No other is left.*choose another `checkpoint`"
    ):
        load_networks(run, "3")
