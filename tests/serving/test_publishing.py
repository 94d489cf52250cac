"""How a version is published next to others, whatever else is there. Its content is small and is not verified."""

import errno
import json
import logging
import shutil
import stat
import subprocess
import threading

import numpy as np
import pytest

from dcgan_tf import files
from dcgan_tf.errors import UserError
from dcgan_tf.serving import saved_model
from dcgan_tf.serving.c_api import Session
from dcgan_tf.serving.saved_model import export_networks, exported_steps, finish_killed_export, read_signatures
from tests.small_runs import STEP, make_networks
from tests.test_files import refuse_to_remove


@pytest.fixture(scope="module")
def networks():
    return make_networks(architecture="mlp", generator_filters="2", discriminator_filters="2", latent_dim=2)


@pytest.fixture
def empty_model(monkeypatch):
    """Skips the tracing of signatures, and the check in a separate process."""
    monkeypatch.setattr(saved_model, "_write", lambda _, directory: (directory / "saved_model.pb").write_bytes(b"x"))
    monkeypatch.setattr(saved_model, "_verify", lambda *_: None)


def visible(directory):
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith("."))


def test_exports_at_once_wait_for_each_other(networks, tmp_path, empty_model, monkeypatch, caplog):
    begun, go_on = threading.Semaphore(0), threading.Event()

    def write(_, directory):
        begun.release()
        go_on.wait()
        (directory / "saved_model.pb").write_bytes(b"x")

    monkeypatch.setattr(saved_model, "_write", write)
    paths = []
    exports = [threading.Thread(target=lambda: paths.append(export_networks(networks, tmp_path, 5))) for _ in range(3)]
    caplog.set_level(logging.INFO, "dcgan_tf")
    for export in exports:
        export.start()
    try:
        assert begun.acquire(timeout=60)
        assert not begun.acquire(timeout=0.3), "two exports write at once"
    finally:
        go_on.set()
        for export in exports:
            export.join()
    assert sorted(path.name for path in paths) == ["1", "2", "3"]
    assert visible(tmp_path) == ["1", "2", "3", "MODEL_CARD.md"]
    assert caplog.messages == [f"Waiting for another process that exports to '{tmp_path}' ..."] * 2


def test_versions_only_grow_and_the_oldest_go(networks, tmp_path, empty_model, caplog):
    (tmp_path / "7").mkdir()
    for expected in (["7", "8"], ["8", "9"]):
        export_networks(networks, tmp_path, keep_versions=2)
        assert visible(tmp_path) == [*expected, "MODEL_CARD.md"]
    for version in ("8", "9"):
        shutil.rmtree(tmp_path / version)
    (tmp_path / "MODEL_CARD.md").unlink()
    (tmp_path / "MODEL_CARD.md").mkdir()  # A folder cannot be replaced by a file, but does not stop the export.
    assert export_networks(networks, tmp_path, keep_versions=2).name == "10"  # A server never sees a number again.
    assert "MODEL_CARD.md could not be written" in caplog.text


def test_foreign_and_unwritable_targets_are_refused(networks, tmp_path):
    (tmp_path / "file").write_text("")
    for target, expected in (
        (tmp_path, "it contains other files, such as 'file'"),
        (tmp_path / "file", "it is a file"),
        (tmp_path / "file" / "x", "cannot be written"),
    ):
        with pytest.raises(UserError, match=expected):
            export_networks(networks, target, keep_versions=1)
    assert visible(tmp_path) == ["file"]


def test_run_that_is_gone_is_not_replaced_by_its_export(networks, tmp_path):
    with pytest.raises(UserError, match=r"cannot be written.*No such file.*Restore it and repeat"):
        export_networks(networks, tmp_path / "run" / "saved_model", keep_versions=1)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(networks, tmp_path, value):
    bias = networks.generator.get_layer("to_image").bias
    before = bias.numpy()
    bias.assign(np.where(np.arange(len(before)) == 3, value, before))
    try:
        with pytest.raises(UserError, match="weights generator/to_image/bias are not finite"):
            export_networks(networks, tmp_path / "out", keep_versions=1)
    finally:
        bias.assign(before)
    assert not (tmp_path / "out").exists()


def test_an_export_killed_while_it_removes_a_version_leaves_no_half_of_it(networks, tmp_path, empty_model, monkeypatch):
    export_networks(networks, tmp_path, 1)

    def killed(path, ignore_errors=False):
        if ignore_errors:
            return
        (path / "saved_model.pb").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dcgan_tf.files.shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            export_networks(networks, tmp_path, 1)
    assert visible(tmp_path) == ["2", "MODEL_CARD.md"]
    assert export_networks(networks, tmp_path, 1).name == "3"
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".last_version", ".lock"]


def test_what_killed_exports_left_is_removed(networks, tmp_path, empty_model):
    (tmp_path / ".writing-3").mkdir()
    (tmp_path / ".writing-1").write_text("a file")
    assert export_networks(networks, tmp_path, 1).name == "1"
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".last_version", ".lock"]


def test_what_cannot_be_removed_does_not_stop_an_export(networks, tmp_path, empty_model, monkeypatch, caplog):
    export_networks(networks, tmp_path, 1)
    (tmp_path / ".writing-9").mkdir()
    refuse_to_remove(monkeypatch, ".writing-9", ".removing-1")
    assert export_networks(networks, tmp_path, 1).name == "2"
    assert visible(tmp_path) == ["2", "MODEL_CARD.md"]
    named = [f"'{tmp_path}/{name}' could not be removed" for name in (".writing-9", ".removing-1")]
    assert [message.partition(" (Permission denied: ")[0] for message in caplog.messages] == named


def test_only_the_name_that_is_needed_stops_an_export(networks, tmp_path, empty_model, monkeypatch):
    (tmp_path / ".writing-1").mkdir()
    refuse_to_remove(monkeypatch, ".writing-1")
    with pytest.raises(UserError, match=r"cannot be written.*Permission denied.*Allow access to it and repeat"):
        export_networks(networks, tmp_path, 1)
    assert visible(tmp_path) == []


def test_what_a_killed_export_left_is_removed_unless_an_export_is_in_progress(tmp_path):
    (tmp_path / ".writing-1").mkdir()
    with files.locked(tmp_path / ".lock"):
        finish_killed_export(tmp_path)
    assert (tmp_path / ".writing-1").is_dir()
    finish_killed_export(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_card_is_written_while_no_other_export_can_publish(networks, tmp_path, empty_model, monkeypatch):
    """Otherwise, it could describe the older of two versions."""

    def show(directory):
        with pytest.raises(BlockingIOError), files.locked(directory / ".lock"):
            pass
        shown.append(directory)

    shown = []
    monkeypatch.setattr(saved_model, "_show_newest_card", show)
    export_networks(networks, tmp_path, 1)
    finish_killed_export(tmp_path)
    assert shown == [tmp_path, tmp_path]


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [(b"7\n", "8"), (b"", "1"), ("²".encode(), "1"), (b"\xff\xfe", "1"), (b"-3", "1"), (b"9" * 5000, "1"), (None, "1")],
)
def test_damaged_record_of_the_last_version_counts_as_none(networks, tmp_path, empty_model, recorded, expected):
    if recorded is None:
        (tmp_path / ".last_version").mkdir()
        with pytest.raises(UserError, match=r"cannot be written.*\.last_version'\. Remove the cause and repeat"):
            export_networks(networks, tmp_path, 1)
        return
    (tmp_path / ".last_version").write_bytes(recorded)
    assert export_networks(networks, tmp_path, 1).name == expected


@pytest.mark.parametrize("name", ["²", "12x", "9" * 19, "variables"])
def test_foreign_folders_are_named_and_kept(networks, tmp_path, empty_model, name):
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=f"it contains other files, such as '{name}'"):
        export_networks(networks, tmp_path, 1)
    assert visible(tmp_path) == [name]


def test_file_with_the_name_of_a_version_is_kept(networks, tmp_path, empty_model):
    (tmp_path / "7").write_text("mine")
    with pytest.raises(UserError, match="it contains other files, such as '7'"):
        export_networks(networks, tmp_path, 1)
    assert (tmp_path / "7").read_text() == "mine"


def test_version_with_leading_zeros_counts_as_a_server_counts_it(networks, tmp_path, empty_model):
    (tmp_path / "007").mkdir()
    assert export_networks(networks, tmp_path, 1).name == "8"
    assert visible(tmp_path) == ["8", "MODEL_CARD.md"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"5",
        b"null",
        b"[]",
        b'{"step": "12"}',
        b'{"step": null}',
        b'{"step": 1e999}',
        b"\xff",
        b"[" * 99_999,
        None,
    ],
    ids=lambda content: str(content)[:16],
)
def test_version_whose_metadata_are_damaged_counts_as_none(tmp_path, content):
    for version, step in (("1", 6), ("2", 12)):
        (tmp_path / version / "assets.extra").mkdir(parents=True)
        (tmp_path / version / "assets.extra" / "model.json").write_text(json.dumps({"step": step}))
        (tmp_path / version / "saved_model.pb").touch()
    assert exported_steps(tmp_path) == [6, 12]
    damaged = tmp_path / "2" / "assets.extra" / "model.json"
    damaged.unlink()
    damaged.mkdir() if content is None else damaged.write_bytes(content)
    assert exported_steps(tmp_path) == [6]


def test_version_without_a_model_counts_as_none(networks, tmp_path, empty_model):
    path = export_networks(networks, tmp_path, 5)
    assert exported_steps(tmp_path) == [STEP]
    (path / "saved_model.pb").unlink()
    assert exported_steps(tmp_path) == []


def test_card_of_a_version_whose_export_was_killed_appears(networks, tmp_path, empty_model):
    export_networks(networks, tmp_path, 5)
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert "version 1" in card
    shutil.copytree(tmp_path / "1", tmp_path / "2")
    inner = tmp_path / "2" / "assets.extra" / "MODEL_CARD.md"
    inner.write_text(inner.read_text().replace("version 1", "version 2"))
    finish_killed_export(tmp_path)
    assert (tmp_path / "MODEL_CARD.md").read_text() == card.replace("version 1", "version 2").replace("(1/", "(2/")
    assert "](2/assets.extra/samples.png)" in (tmp_path / "MODEL_CARD.md").read_text()
    inner.unlink()  # As in a version of an earlier release
    finish_killed_export(tmp_path)
    finish_killed_export(tmp_path / "nothing")
    assert "version 2" in (tmp_path / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free some space"), (errno.EACCES, "Allow access to it"), (errno.ELOOP, "Remove")],
)
def test_advice_fits_what_failed(networks, tmp_path, empty_model, monkeypatch, number, advice):
    def fail(*_):
        raise OSError(number, saved_model.os.strerror(number))

    monkeypatch.setattr(saved_model, "_sync", fail)
    with pytest.raises(UserError, match=rf"the export cannot be written to '{tmp_path}': .*\. {advice}"):
        export_networks(networks, tmp_path, 1)
    assert visible(tmp_path) == []


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Replaces Git with a shell script; with None, there is no Git."""

    def put(script):
        folder = tmp_path / "bin"
        folder.mkdir()
        monkeypatch.setenv("PATH", str(folder))
        if script is not None:
            (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
            (folder / "git").chmod(stat.S_IRWXU)

    return put


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (None, None),
        ("echo fatal: not a git repository >&2; exit 128", None),
        ("echo HEAD; exit 128", None),
        ("printf '\\377'", None),
        ("kill -9 $$", None),
        ("echo /another/project; echo 1234", None),
        (f"echo {saved_model.ROOT}; echo 1234", "1234"),
    ],
)
def test_a_missing_or_failing_git_is_no_error(networks, tmp_path, empty_model, git, script, expected):
    git(script)
    path = export_networks(networks, tmp_path / "out", 1)
    metadata = json.loads((path / "assets.extra" / "model.json").read_text())
    assert metadata["git_commit"] == expected
    assert ("commit `1234`" in (path.parent / "MODEL_CARD.md").read_text()) == bool(expected)


@pytest.mark.skipif(not (saved_model.ROOT / ".git").exists() or not shutil.which("git"), reason="needs a clone")
def test_commit_of_this_clone_is_known(networks, tmp_path, empty_model):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=saved_model.ROOT, capture_output=True, text=True)
    path = export_networks(networks, tmp_path, 1)
    assert json.loads((path / "assets.extra" / "model.json").read_text())["git_commit"] == head.stdout.strip()


def test_export_below_any_name_is_one_that_a_server_can_load(networks, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "_verify", lambda *_: None)
    path = export_networks(networks, tmp_path / "[2024] fa*ces? back\\slash", 1)
    signatures = read_signatures(path)
    session = Session(path, signatures)
    (example,) = (s for s in saved_model.build_signatures(networks) if s.name == "sample")
    assert session.run("sample", example.make_example(3))["images"].shape == (3, 16, 16, 1)
