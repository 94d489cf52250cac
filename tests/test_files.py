import errno
import io
import json
import logging
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf import files
from dcgan_tf.progress import logger


@pytest.mark.parametrize("name", ["plain", "[2024] faces", "a*b", "which?", "back\\slash", "a[!b]", "\udce9t\udce9"])
def test_tensorflow_reads_what_it_wrote_below_any_name(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    variable = tf.Variable([1.0, 2.0])
    checkpoint = tf.train.Checkpoint(variable=variable)
    with files.plain_path(folder) as path:
        checkpoint.write(str(path / "checkpoint"))
    variable.assign([0.0, 0.0])
    with files.plain_path(folder) as path:
        checkpoint.read(str(path / "checkpoint")).assert_consumed()
    assert variable.numpy().tolist() == [1, 2]
    assert {file.name.split(".")[0] for file in folder.iterdir()} == {"checkpoint"}


def test_plain_path_of_a_relative_one_looks_at_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "[x]" / "run").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "[x]")
    with files.plain_path(pathlib.Path("run")) as path:
        assert "[" not in str(path.absolute())
        assert path.samefile("run")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"9" * 5000], ids=lambda text: str(text[:5]))
def test_what_is_no_json_is_a_value_error(tmp_path, content):
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"."):
        files.read_json(tmp_path / "file.json")


def test_damaged_arrays_are_a_value_error(tmp_path):
    """Each byte is changed in turn: either the file is refused, or the arrays read from it are unchanged."""
    buffer, path = io.BytesIO(), tmp_path / "arrays.npz"
    np.savez(buffer, values=np.arange(5.0), name="x")
    whole = buffer.getvalue()
    refused = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        try:
            arrays = files.read_arrays(path)
        except ValueError:
            refused += 1
        else:
            for name, value in arrays.items():
                assert value.tolist() == {"values": [0, 1, 2, 3, 4], "name": "x"}[name]
    assert refused > len(whole) / 2
    for content in (b"", whole[:-30], b"foreign"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"."):
            files.read_arrays(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"."):
        files.read_arrays(tmp_path / "one.npy")


def test_unreadable_arrays_are_not_called_damaged(tmp_path):
    (tmp_path / "arrays.npz").symlink_to("/proc/self/mem")  # Opens, and then fails with an I/O error.
    with pytest.raises(OSError, match="Input/output"):
        files.read_arrays(tmp_path / "arrays.npz")


def test_lock_waits_only_where_it_says_so(tmp_path, caplog, monkeypatch):
    released = threading.Event()

    def hold():
        with files.locked(tmp_path / "lock"):
            held.set()
            released.wait()

    held, holder = threading.Event(), threading.Thread(target=hold)
    holder.start()
    held.wait()
    with pytest.raises(BlockingIOError), files.locked(tmp_path / "lock"):
        pass
    let_go = logging.Handler()
    monkeypatch.setattr(let_go, "emit", lambda _: released.set())
    monkeypatch.setattr(logger, "handlers", [*logger.handlers, let_go])
    with caplog.at_level(logging.INFO, logger.name), files.locked(tmp_path / "lock", waiting="waiting"):
        assert caplog.messages == ["waiting"]
    holder.join()


def test_lock_keeps_what_is_in_its_file(tmp_path):
    (tmp_path / "lock").write_text("mine")
    with files.locked(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == "mine"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "Free some space"),
        (tf.errors.ResourceExhaustedError(None, None, "/x/y; No space left on device"), "Free some space"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Allow access to it"),
        (OSError(errno.EROFS, "Read-only file system"), "Allow writing there"),
        (tf.errors.UnknownError(None, None, "/x; Input/output error"), "Check the disk"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x"), "Remove the cause"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_advice_fits_the_error(error, advice):
    assert files.way_on(error) == advice


def test_a_link_is_removed_and_what_it_leads_to_is_not(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file.json").write_text(json.dumps(1))
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    for path in (tmp_path / "link", tmp_path / "mine" / "file.json", tmp_path / "missing"):
        files.remove(path)
        assert not path.is_symlink()
    assert (tmp_path / "mine").is_dir()
    files.remove(tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_half_removed_is_no_longer_seen(tmp_path, monkeypatch):
    """A process that is killed while it removes a folder leaves only hidden files, which the next one removes."""

    def killed(path):
        (path / "first").unlink()
        raise KeyboardInterrupt

    def make_folder():
        (tmp_path / "folder").mkdir()
        for name in ("first", "second"):
            (tmp_path / "folder" / name).write_text("")

    def remove_half():
        with monkeypatch.context() as patch:
            patch.setattr(files.shutil, "rmtree", killed)
            with pytest.raises(KeyboardInterrupt):
                files.remove(tmp_path / "folder")
        assert [path.name for path in tmp_path.iterdir()] == [".removing-folder"]

    make_folder()
    remove_half()
    make_folder()
    files.remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []

    make_folder()
    remove_half()
    for name in (".writing-1", ".lock"):
        (tmp_path / name).write_text("")
    files.remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def refuse_to_remove(monkeypatch, *names):
    """Makes folders of these names impossible to remove, as those of another user are."""
    rmtree = files.shutil.rmtree

    def refuse(path, ignore_errors=False):
        if path.name not in names:
            rmtree(path, ignore_errors)
        elif not ignore_errors:
            raise PermissionError(errno.EACCES, "Permission denied", str(path / "x"))

    monkeypatch.setattr(files.shutil, "rmtree", refuse)


def test_what_cannot_be_removed_is_named_in_one_warning_and_the_rest_goes(tmp_path, monkeypatch, caplog):
    for name in ("a", "b", "c", ".writing-1", ".removing-d"):
        (tmp_path / name).mkdir()
    refuse_to_remove(monkeypatch, ".removing-a", ".removing-c", ".writing-1")
    files.discard([tmp_path / "a", tmp_path / "b", tmp_path / "c"])
    assert caplog.messages == [
        f"'{tmp_path}/.removing-a' and 1 more could not be removed (Permission denied: '{tmp_path}/.removing-a/x'). "
        "This is no longer needed: remove it yourself to free the space"
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".removing-a", ".removing-c", ".removing-d", ".writing-1",
    ]  # fmt: skip
    monkeypatch.undo()
    refuse_to_remove(monkeypatch, ".writing-1")
    files.remove_leftovers(tmp_path)
    files.remove_leftovers(tmp_path)
    assert len(caplog.messages) == 2  # The second time, nothing new is to be said.
    assert caplog.messages[1].startswith(f"'{tmp_path}/.writing-1' could not be removed (Permission denied: ")
    assert [path.name for path in tmp_path.iterdir()] == [".writing-1"]


@pytest.mark.parametrize(
    ("number", "is_removed"), [(errno.EXDEV, True), (errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)]
)
def test_a_folder_that_cannot_be_hidden_is_removed_in_place_unless_half_of_it_might_stay(
    tmp_path, monkeypatch, number, is_removed
):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()

    def refuse(*_):
        raise OSError(number, files.os.strerror(number))

    monkeypatch.setattr(pathlib.Path, "rename", refuse)
    if is_removed:
        files.remove(tmp_path / "folder")
        assert list(tmp_path.iterdir()) == []
    else:
        with pytest.raises(OSError, match=files.os.strerror(number)):
            files.remove(tmp_path / "folder")
        assert (tmp_path / "folder" / "file").exists()


def test_reason_of_tensorflow_begins_with_that_of_the_system():
    place = "{{function_node __wrapped__SaveV2_device_/job:localhost/device:CPU:0}} /x/data-00000-of-00001"
    reason = files.reason(tf.errors.UnknownError(None, None, f"{place}; No space left on device"))
    assert reason == "No space left on device: /x/data-00000-of-00001; No space left on device"
    assert files.reason(tf.errors.DataLossError(None, None, "corrupted\nblock")) == "corrupted"


def test_reason_names_the_file_in_the_way_and_is_short_otherwise():
    path = "/" + 300 * "x"
    assert files.reason(OSError(errno.EISDIR, "Is a directory", "/from", None, path)) == f"Is a directory: '{path}'"
    assert files.reason(OSError(errno.EIO, "Input/output error", path)) == f"Input/output error: '{path}'"
    assert files.reason(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"
    assert files.reason(OSError("cut off\nhere")) == "cut off"
    assert files.reason(ValueError(path)) == path[:200]
    assert files.reason(EOFError()) == "EOFError"


def test_what_is_written_is_whole_or_as_it_was(tmp_path):
    path = files.write_json(tmp_path / "file", {"name": "caf\udce9"})
    assert files.read_json(path) == {"name": "caf\udce9"}
    assert path.read_text().endswith("}\n")
    path = files.write_text(tmp_path / "file", "caf\udce9")
    with pytest.raises(TypeError):
        files.write_json(path, object())

    def write_half(temporary):
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), files.replacing(path) as temporary:
        write_half(temporary)
    assert path.read_text() == "caf\\udce9"
    assert list(tmp_path.iterdir()) == [path]


def test_processes_with_the_same_number_do_not_write_to_the_same_file(tmp_path):
    """Machines that share a disk have them."""
    path = tmp_path / "file"
    with files.replacing(path) as first, files.replacing(path) as second, files.replacing(path, ".keras") as third:
        for number, temporary in enumerate((first, second, third)):
            temporary.write_text(str(number))
        assert len({first, second, third}) == 3
        assert {temporary.name.startswith(".file.") for temporary in (first, second, third)} == {True}
        assert first.suffix == second.suffix == ".tmp"
        assert third.suffix == ".keras"
    assert path.read_text() == "0"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    with files.replacing(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "inside").touch()

    def write_half(temporary):
        temporary.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), files.replacing(tmp_path / "other") as temporary:
        write_half(temporary)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["folder", "folder/inside"]


def test_arrays_are_read_as_they_were_written(tmp_path):
    path = files.write_arrays(tmp_path / "arrays.npz", values=np.arange(3.0), count=7.0, name="x")
    arrays = files.read_arrays(path)
    assert {name: array.tolist() for name, array in arrays.items()} == {"values": [0, 1, 2], "count": 7, "name": "x"}
