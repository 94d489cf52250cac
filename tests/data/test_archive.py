"""Pictures in a zip archive are read just as from the folder that the archive was made from."""

import io
import os
import shutil
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.config.making import make_config
from dcgan_tf.data.folder import find_folder
from dcgan_tf.data.pictures import BadPictureError, Limits
from dcgan_tf.data.prepare import prepare
from dcgan_tf.data.sources import find_source
from dcgan_tf.data.store import METADATA_BYTES, _open, open_archive
from dcgan_tf.errors import UnknownSplitError, UserError
from dcgan_tf.evaluation.splits import open_split
from tests.data.test_folder import first_pixels, folder_config, picture


def png(value=100, size=(16, 16)):
    content = io.BytesIO()
    Image.new("RGB", size, (value,) * 3).save(content, "PNG")
    return content.getvalue()


def archive(path, files, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return path


def corrupt(path, name):
    """Inverts the middle of a stored file's contents."""
    with zipfile.ZipFile(path) as file:
        information = file.getinfo(name)
    content = bytearray(path.read_bytes())
    middle = information.header_offset + 30 + len(name) + information.compress_size // 2
    content[middle] ^= 255
    path.write_bytes(content)


def test_archive_is_read_as_its_folder(tmp_path, in_process):
    """Covers classes, hidden and system files, missing extensions, bad files and files that are not pictures."""
    folder = tmp_path / "pets"
    for number, name in enumerate(("dog/1.png", "cat/2.png", "cat/deeper/3.png", "cat/4.png", ".hidden/5.png")):
        picture(folder / name, 10 * number)
    shutil.copy(folder / "dog" / "1.png", folder / "dog" / "no ending")
    (folder / "dog" / "bad.png").write_bytes(b"no picture")
    (folder / "dog" / "empty.png").touch()
    (folder / "dog" / "notes.txt").touch()
    shutil.make_archive(str(folder), "zip", folder)
    config, expected = prepare(folder_config(folder, max_bad_share=0.9))
    zipped, data = prepare(folder_config(tmp_path / "pets.zip", max_bad_share=0.9))
    assert (zipped.class_names, data.digest) == (config.class_names, expected.digest) == (("cat", "dog"), data.digest)
    assert data.labels.tolist() == [0, 0, 0, 1, 1]
    reports = [(each.directory / "bad_files.txt").read_text() for each in (expected, data)]
    assert reports[0] == reports[1] == ("dog/bad.png: not a picture in a supported format\ndog/empty.png: empty file\n")
    notes = [find_folder(folder_config(path)).notes for path in (folder, tmp_path / "pets.zip")]
    assert [note.replace("pets.zip", "pets") for note in notes[1]] == list(notes[0])
    assert (data.source, data.directory != expected.directory) == ("folder/pets.zip", True)


def test_decoder_processes_open_the_archive_themselves(tmp_path):
    path = archive(tmp_path / "many.zip", {f"{number:03d}.png": png(number) for number in range(200)})
    assert first_pixels(prepare(folder_config(path))[1]) == list(range(200))


@pytest.mark.parametrize("top", ["", "photos/", "photos/of mine/"])
def test_splits_and_classes_are_found_below_a_single_folder(tmp_path, in_process, top):
    files = {f"{top}{name}": png() for name in ("train/a/1.png", "train/b/2.png", "test/a/3.png")}
    path = archive(tmp_path / "photos.zip", {**files, "__MACOSX/._1.png": b""})
    train, test = (find_folder(folder_config(path, split=split)) for split in ("train", "test"))
    assert (train.names, train.class_names) == (("a/1.png", "b/2.png"), ("a", "b"))
    assert (test.names, test.labels, test.class_names) == (("a/3.png",), (0,), ("a", "b"))
    with pytest.raises(UnknownSplitError, match="no folder named 'validation'"):
        find_folder(folder_config(path, split="validation"))


def test_paths_of_windows_are_folders(tmp_path):
    path = tmp_path / "windows.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("a\\1.png", "b\\2.png"):
            information = zipfile.ZipInfo("x")
            information.filename = name  # The constructor would translate it on Windows only.
            file.writestr(information, png())
    assert find_folder(folder_config(path)).class_names == ("a", "b")


def test_damaged_file_in_an_archive_is_bad(tmp_path, in_process):
    path = archive(tmp_path / "photos.zip", {f"{n}.png": png(n) for n in range(3)}, zipfile.ZIP_STORED)
    corrupt(path, "1.png")
    _, data = prepare(folder_config(path, max_bad_share=0.5))
    assert first_pixels(data) == [0, 2]
    assert "1.png: truncated or damaged: Bad CRC-32" in (data.directory / "bad_files.txt").read_text()


def test_unpacked_size_is_limited(tmp_path):
    limits = Limits(max_pixels=1000)
    path = archive(tmp_path / "bomb.zip", {"bomb.png": bytes(METADATA_BYTES + 8001), "big.png": bytes(METADATA_BYTES)})
    store = open_archive(path)
    with pytest.raises(BadPictureError, match=r"67,116,865 bytes are more than .*`max_pixels=1000`"):
        store.picture(path / "bomb.png", limits)
    assert store.picture(path / "big.png", limits)


@pytest.mark.parametrize("name", ["../1.png", "/etc/1.png", "a/../../1.png", "C:\\1.png", "..\\1.png"])
def test_paths_that_lead_out_of_an_archive_are_refused(tmp_path, name):
    path = archive(tmp_path / "photos.zip", {name: png()})
    with pytest.raises(UserError, match=r"`data_dir`: the archive .* contains the path .*, which leads out of it"):
        find_folder(folder_config(path))


def test_encrypted_archive_is_refused(tmp_path):
    path = archive(tmp_path / "photos.zip", {"1.png": png()})
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\x01\x02")
    (flags,) = struct.unpack_from("<H", content, entry + 8)
    struct.pack_into("<H", content, entry + 8, flags | 1)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"the archive .* contains encrypted files, such as '1.png'. Unpack it"):
        find_folder(folder_config(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a zip archive, or it is damaged"),
        (b"\x1f\x8b\x08 a tar file", "is not a zip archive, or it is damaged"),
        (None, "expected a folder or a zip archive of pictures"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "photos.zip"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        find_folder(folder_config(path))


def test_archive_without_pictures_is_one_line(tmp_path):
    path = archive(tmp_path / "photos.zip", {"notes.txt": b"", "a.heic": b""})
    with pytest.raises(UserError, match=r"no picture in '.*photos.zip'.*\(1 .heic\), such as 'a.heic'.*\(1 .txt\)"):
        find_folder(folder_config(path))


def test_another_archive_in_its_place_is_prepared_again(tmp_path, in_process):
    path = archive(tmp_path / "photos.zip", {f"{n}.png": png(n) for n in range(2)})
    config, before = prepare(folder_config(path))
    archive(tmp_path / "new.zip", {f"{n}.png": png(9 + n) for n in range(2)})
    os.replace(tmp_path / "new.zip", path)
    _, after = prepare(folder_config(path))
    assert (first_pixels(before), first_pixels(after)) == ([0, 1], [9, 10])
    with pytest.raises(UserError, match="have changed since this run began"):
        prepare(config)


def test_archive_may_move(tmp_path, in_process):
    files = {f"train/{n}.png": png(n) for n in range(2)} | {"test/9.png": png(9), "test/8.png": png(8)}
    config, before = prepare(folder_config(archive(tmp_path / "photos.zip", files)))
    (tmp_path / "elsewhere").mkdir()
    moved = folder_config(shutil.move(tmp_path / "photos.zip", tmp_path / "elsewhere" / "other name.zip"))
    _, after = prepare(moved.__class__(**{**config.__dict__, "data_dir": moved.data_dir}))
    assert (after.digest, np.asarray(open_split(moved, "test").images)[:, 0, 0, 0].tolist()) == (before.digest, [8, 9])


def test_forgotten_data_set_of_an_archive_is_one_line(tmp_path):
    path = archive(tmp_path / "photos.zip", {"1.png": png()})
    with pytest.raises(
        UserError, match=r"Received the file '.*photos.zip'. .*`dataset=folder` `data_dir=.*photos.zip`"
    ):
        find_source(make_config({"data_dir": str(path)}))


def test_archive_that_is_replaced_while_in_use_is_one_line(tmp_path):
    path = archive(tmp_path / "photos.zip", {"1.png": png()})
    store = open_archive(path)
    os.replace(archive(tmp_path / "other.zip", {"2.png": png()}), path)
    _open.cache_clear()  # As in a decoder process, which opens the archive later.
    with pytest.raises(UserError, match=r"was replaced while it was in use. Repeat the command"):
        store.picture(path / "1.png", Limits())
