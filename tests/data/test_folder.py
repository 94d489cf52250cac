import errno
import multiprocessing.context
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import PIL
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from dcgan_tf.config.making import make_config
from dcgan_tf.data.folder import FolderSource, find_folder
from dcgan_tf.data.pictures import Limits, load_picture
from dcgan_tf.data.prepare import prepare
from dcgan_tf.data.processes import _Process, core_count
from dcgan_tf.data.shards import Shard
from dcgan_tf.data.tree import list_files
from dcgan_tf.errors import UserError
from tests.conftest import ROOT
from tests.data.test_pictures import bomb


def picture(path, value=100, size=(16, 16), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * len(mode)).save(path)


def folder_config(folder, **changes):
    typed = {"dataset": "folder", "data_dir": str(folder), "batch_size": 2, "cache_dir": str(folder.parent / "cache")}
    return make_config({**typed, **changes})


def first_pixels(data):
    return data.images[:, 0, 0, 0].tolist()


def test_pictures_are_read_where_processes_cannot_have_locks(tmp_path, monkeypatch):
    """As in a container whose /dev/shm is read-only."""

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    for number in range(4):
        picture(tmp_path / "flat" / f"{number}.png", 10 * number)
    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", refuse)
    assert first_pixels(prepare(folder_config(tmp_path / "flat"))[1]) == [0, 10, 20, 30]


def test_cores_are_counted_where_processes_have_no_affinity(monkeypatch):
    """As on macOS."""
    assert core_count() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert core_count() == 8


def test_flat_folder(tmp_path):
    for number, name in enumerate(("b.PNG", "a.png", "c with space.Bmp", "ünï.webp")):
        picture(tmp_path / "flat" / name, 10 * number)
    (tmp_path / "flat" / "notes.txt").write_text("not a picture")
    config, data = prepare(folder_config(tmp_path / "flat"))
    assert (config.image_size, config.channels, config.class_names) == ("16", "3", ())
    assert data.source == "folder/flat"
    assert np.abs(np.subtract(first_pixels(data), [10, 0, 20, 30])).max() <= 2  # In the order of the names
    assert data.labels.tolist() == [-1] * 4


def test_class_folders_give_labels(tmp_path):
    for number, name in enumerate(("dog/1.png", "cat/2.png", "cat/deeper/3.png")):
        picture(tmp_path / "pets" / name, number)
    config, data = prepare(folder_config(tmp_path / "pets"))
    assert config.class_names == data.class_names == ("cat", "dog")
    assert first_pixels(data) == [1, 2, 0]
    assert data.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize("names", [("a/1.png", "2.png"), ("a/b/1.png", "a/c/2.png")])
def test_nested_folders_that_are_no_classes(tmp_path, names):
    for name in names:
        picture(tmp_path / "nested" / name)
    assert find_folder(folder_config(tmp_path / "nested")).class_names == ()


def test_train_level_is_recognised(tmp_path):
    for name in ("train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "test/dog/4.png", "test/dog/5.png"):
        picture(tmp_path / "pets" / name)
    train, test = (find_folder(folder_config(tmp_path / "pets", split=split)) for split in ("train", "test"))
    assert (train.count(), test.count()) == (2, 3)
    assert train.class_names == test.class_names == ("cat", "dog")
    with pytest.raises(UserError, match="no folder named 'validation'"):
        find_folder(folder_config(tmp_path / "pets", split="validation"))


def test_links_are_followed_but_loops_end(tmp_path):
    picture(tmp_path / "real" / "1.png")
    picture(tmp_path / "elsewhere" / "2.png")
    os.symlink(tmp_path / "real", tmp_path / "real" / "loop")
    os.symlink(tmp_path / "elsewhere", tmp_path / "real" / "linked")
    assert list_files(tmp_path / "real").names == ["1.png", "linked/2.png"]


def test_links_to_nowhere_and_to_themselves_are_bad_files(tmp_path):
    for number in range(4):
        picture(tmp_path / "links" / f"{number}.png")
    os.symlink("itself.png", tmp_path / "links" / "itself.png")
    os.symlink("gone.png", tmp_path / "links" / "nowhere.png")
    _, data = prepare(folder_config(tmp_path / "links", max_bad_share=0.5))
    assert len(data.images) == 4
    assert (data.directory / "bad_files.txt").read_text() == "itself.png: broken link\nnowhere.png: broken link\n"


def test_names_that_are_no_text_are_reported(tmp_path):
    for number in range(4):
        picture(tmp_path / "names" / f"{number}.png")
    with open(os.fsencode(tmp_path / "names") + b"/\xe9.png", "w") as file:
        file.write("text")
    _, data = prepare(folder_config(tmp_path / "names", max_bad_share=0.5))
    assert r"\udce9.png: not a picture" in (data.directory / "bad_files.txt").read_text()


def test_names_are_printed_without_their_control_characters(tmp_path, said):
    for number in range(4):
        picture(tmp_path / "names\x1b[31m" / f"{number}.png")
    (tmp_path / "names\x1b[31m" / "bad\x1b[2J\n.png").write_text("text")
    _, data = prepare(folder_config(tmp_path / "names\x1b[31m", max_bad_share=0.5))
    assert data.source == r"folder/names\x1b[31m"
    assert (data.directory / "bad_files.txt").read_text().startswith(r"bad\x1b[2J\n.png: not a picture")
    printed = "\n".join(said.messages)
    assert r"such as bad\x1b[2J\n.png: not a picture" in printed
    assert "\x1b" not in printed


def test_pipe_among_the_pictures_is_a_bad_file(tmp_path, said):
    for number in range(4):
        picture(tmp_path / "pipes" / f"{number}.png")
    os.mkfifo(tmp_path / "pipes" / "z.png")
    _, data = prepare(folder_config(tmp_path / "pipes", max_bad_share=0.5))
    assert len(data.images) == 4
    assert "such as z.png: not a regular file" in said.text


def test_orientation_counts_for_the_common_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned").mkdir()
    for number in range(3):
        Image.new("L", (96, 48), number).save(tmp_path / "turned" / f"{number}.jpg", exif=exif)
    assert prepare(folder_config(tmp_path / "turned"))[0].image_size == "96x48"


def test_hidden_files_are_left_out(tmp_path):
    for name in ("1.png", "._1.png", ".thumbnails/1.png"):
        picture(tmp_path / "folder" / name)
    assert find_folder(folder_config(tmp_path / "folder")).count() == 1


def test_common_size_and_gray_are_recognised(tmp_path):
    for number in range(3):
        picture(tmp_path / "gray" / f"{number}.png", 5, size=(48, 32), mode="L")
    config, _ = prepare(folder_config(tmp_path / "gray"))
    assert (config.image_size, config.channels) == ("32x48", "1")
    picture(tmp_path / "gray" / "other.png", 5, size=(50, 50), mode="RGB")
    config, _ = prepare(folder_config(tmp_path / "gray"))
    assert (config.image_size, config.channels) == ("64", "3")


def test_changed_folder_is_prepared_again(tmp_path):
    for number in range(3):
        picture(tmp_path / "folder" / f"{number}.png", 5)
    _, before = prepare(folder_config(tmp_path / "folder"))
    picture(tmp_path / "folder" / "3.png", 200)
    _, after = prepare(folder_config(tmp_path / "folder"))
    assert (len(before.images), len(after.images)) == (3, 4)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda folder: folder.mkdir(), "contains no files"),
        (lambda folder: folder.mkdir() or (folder / "a.txt").write_text(""), r"1 file \(1 .txt\).* are not pictures"),
        (lambda folder: None, "`data_dir`: expected a folder or a zip archive of pictures"),
        (lambda folder: picture(folder / "only.png"), "expected at least 2 images. Received: 1"),
    ],
)
def test_folder_without_enough_pictures_is_one_line(tmp_path, make, expected):
    make(tmp_path / "folder")
    with pytest.raises(UserError, match=expected) as error:
        prepare(folder_config(tmp_path / "folder"))
    assert "\n" not in str(error.value)


def test_missing_data_dir_is_asked_for():
    with pytest.raises(UserError, match="name the folder or the zip archive of your pictures with `data_dir`"):
        prepare(make_config({"dataset": "folder"}))


def test_few_pictures_say_the_batch_size_that_works(tmp_path):
    for number in range(10):
        picture(tmp_path / "few" / f"{number}.png")
    with pytest.raises(UserError, match=r"at most the 10 images.*Received: 64. Use `batch_size=5`"):
        prepare(folder_config(tmp_path / "few", batch_size=64))


@pytest.fixture
def partly_bad(tmp_path):
    """Twenty pictures, of which the third, the seventh and the last are bad."""
    folder = tmp_path / "mixed"
    for number in range(20):
        picture(folder / f"{number:02}.png", 5 * number)
    (folder / "02.png").write_text("text")
    bomb(folder / "06.png")
    (folder / "19.png").write_bytes((folder / "18.png").read_bytes()[:50])
    return folder


def test_bad_files_are_skipped_counted_and_named(partly_bad, said, monkeypatch):
    monkeypatch.setattr("dcgan_tf.data.shards.ROWS_PER_SHARD", 4)
    _, data = prepare(folder_config(partly_bad, max_bad_share=0.2))
    assert first_pixels(data) == [5 * number for number in range(20) if number not in (2, 6, 19)]
    assert data.images.shape[0] == len(data.labels) == 17
    assert "3 of 20 pictures cannot be used" in said.text
    report = (data.directory / "bad_files.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in report] == ["02.png", "06.png", "19.png"]
    assert "60000x60000" in report[1]


def test_faults_of_the_machine_are_not_kept_as_the_files_own(tmp_path, in_process):
    """Reading this link is an I/O error, which ends the preparation. Once the link is replaced, the picture is used."""
    folder = tmp_path / "photos"
    for number in range(3):
        picture(folder / f"{number}.png", 50 * number)
    os.symlink("/proc/self/mem", folder / "3.png")
    with pytest.raises(UserError, match=r"cannot read the picture '.*3.png': Input/output error. Fix"):
        prepare(folder_config(folder))
    config = folder_config(folder, image_size="16", channels="3")  # With both given, no file is opened here
    with pytest.raises(UserError, match=r"cannot read the picture '.*3.png': Input/output error. Fix"):
        prepare(config)
    (folder / "3.png").unlink()
    picture(folder / "3.png", 150)
    assert first_pixels(prepare(config)[1]) == [0, 50, 100, 150]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
@pytest.mark.parametrize(
    ("owner", "function"),
    [(pathlib.Path, "stat"), (Image, "open"), (PngImageFile, "load")],
    ids=["stat", "open", "load"],
)
def test_no_error_of_the_system_makes_a_picture_bad(tmp_path, monkeypatch, number, owner, function):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    picture(tmp_path / "elsewhere.png")
    os.symlink("elsewhere.png", tmp_path / "1.png")
    monkeypatch.setattr(owner, function, fail)
    with pytest.raises(UserError, match=f"1.png': {os.strerror(number)}"):
        load_picture(tmp_path / "1.png", Limits())


def test_bad_files_are_tried_again_by_another_pillow(partly_bad, in_process, monkeypatch):
    """A run that began on the images that the first Pillow read continues with exactly those."""
    config = folder_config(partly_bad, max_bad_share=0.2)
    with monkeypatch.context() as patch:
        patch.setattr(PIL, "__version__", "1.0")
        run, of_the_run = prepare(config)
        assert prepare(config)[1].directory == of_the_run.directory
        with pytest.raises(UserError, match="3 of 20 pictures cannot be used"):
            prepare(folder_config(partly_bad, image_size="32"))
    assert len(of_the_run.images) == 17
    monkeypatch.setattr("dcgan_tf.data.folder.load_picture", lambda path, _: Image.new("RGB", (16, 16), "red"))
    assert len(prepare(config)[1].images) == 20
    assert len(prepare(folder_config(partly_bad, image_size="32"))[1].images) == 20
    assert prepare(run)[1].directory == of_the_run.directory


def nothing_left(self, work, shards):
    assert shards == [], "work that was done is done again"
    return iter(())


def test_too_many_bad_files_stop_with_their_names_and_lose_no_work(partly_bad, monkeypatch):
    with pytest.raises(UserError, match=r"3 of 20 pictures cannot be used.*max_bad_share=0.1.*02.png: not a picture"):
        prepare(folder_config(partly_bad))
    monkeypatch.setattr(FolderSource, "map_shards", nothing_left)
    _, data = prepare(folder_config(partly_bad, max_bad_share=0.2))
    assert len(data.images) == 17
    with pytest.raises(UserError, match="3 of 20 pictures cannot be used"):
        prepare(folder_config(partly_bad))  # The limit also applies to data that are already prepared.


def test_interruption_while_bad_files_are_packed_loses_no_work(partly_bad, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dcgan_tf.data.prepare.checksums", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(folder_config(partly_bad, max_bad_share=0.2))
    monkeypatch.setattr(FolderSource, "map_shards", nothing_left)
    _, data = prepare(folder_config(partly_bad, max_bad_share=0.2))
    assert first_pixels(data) == [5 * number for number in range(20) if number not in (2, 6, 19)]


def _die(shard, pictures):
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker_is_one_line(tmp_path):
    picture(tmp_path / "one" / "1.png")
    source = find_folder(folder_config(tmp_path / "one"))
    with pytest.raises(UserError, match="was killed"):
        list(source.map_shards(_die, [Shard(0, 1)]))


ENDLESS_WORK = """
import pathlib, sys, time

def work(shard, pictures, folder):
    pathlib.Path(folder, f"{shard.first}.begun").touch()
    time.sleep(600)
"""
# No `if __name__ == "__main__"`: a worker that ran the script, too, would start workers of its own.
SCRIPT = """
import functools, sys
from dcgan_tf.config.making import make_config
from dcgan_tf.data.folder import find_folder
from dcgan_tf.data.shards import Shard
from endless import work

source = find_folder(make_config({"dataset": "folder", "data_dir": sys.argv[1]}))
list(source.map_shards(functools.partial(work, folder=sys.argv[1]), [Shard(0, 1), Shard(1, 2)]))
"""


def test_threads_that_start_workers_at_once_leave_the_main_script_known(monkeypatch):
    seen = []

    def start(self):
        seen.append(sys.modules["__main__"].__file__)
        time.sleep(0.05)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", start)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "script.py", raising=False)
    threads = [threading.Thread(target=_Process().start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [None] * 3
    assert sys.modules["__main__"].__file__ == "script.py"


def test_workers_end_with_a_killed_parent(tmp_path):
    for number in range(2):
        picture(tmp_path / "two" / f"{number}.png")
    (tmp_path / "endless.py").write_text(ENDLESS_WORK)
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path / "two"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )
    while not list((tmp_path / "two").glob("*.begun")):
        assert process.poll() is None, "it ended before it was killed"
        time.sleep(0.02)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-g", str(process.pid)], capture_output=True).returncode == 0:
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.1)


def test_worker_whose_parent_is_gone_at_its_start_ends(command):
    gone = 2**22 + 1  # Larger than any process ID
    start = f"import time; from dcgan_tf.data.processes import _start_worker; _start_worker({gone}); time.sleep(60)"
    result = command("-c", start, timeout=50)
    assert (result.returncode, result.stderr) == (1, "")


def test_cifar10_jpeg_prepares_with_its_classes(real_data, tmp_path):
    with zipfile.ZipFile(real_data("cifar10_jpeg.zip")) as archive:
        names = [n for n in archive.namelist() if "/test/" in n and n.endswith("7.jpg")]
        archive.extractall(tmp_path, names)
    config, data = prepare(folder_config(tmp_path / "cifar10_jpeg", split="test"))
    assert (config.image_size, config.channels) == ("32", "3")
    assert config.class_names[:3] == ("airplane", "automobile", "bird")
    assert len(data.images) == len(names)
    assert np.bincount(data.labels).min() > 50
    with Image.open(sorted((tmp_path / "cifar10_jpeg/test/airplane").iterdir())[0]) as first:
        np.testing.assert_array_equal(data.images[0], np.asarray(first))
