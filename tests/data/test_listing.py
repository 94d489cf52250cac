import os
import shutil

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data import listing as listing_module
from dcgan_tf.data.folder import find_folder
from dcgan_tf.data.listing import EARLIER_RULES, RULES, list_pictures
from dcgan_tf.data.prepare import prepare, resolve
from dcgan_tf.drawing.animation import caption_grids, save_animation
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.errors import UnknownSplitError, UserError
from dcgan_tf.evaluation.splits import open_split, open_test_split
from dcgan_tf.runs import run_directory
from tests.data.test_folder import first_pixels, folder_config, picture


def touch(folder, *names):
    """Makes empty files: listing looks only at names, and opens only the files without an ending."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def listing(folder, **changes):
    return list_pictures(folder_config(folder, **changes))


# ---- Splits


@pytest.mark.parametrize(
    ("names", "split", "root", "classes"),
    [
        ("bus/1.png car/1.png train/1.png", "train", "", ("bus", "car", "train")),
        ("bus/1.png car/1.png test/1.png", "train", "", ("bus", "car", "test")),
        ("train/a/1.png train/b/1.png test/a/1.png", "train", "train", ("a", "b")),
        ("train/a/1.png train/b/1.png test/a/1.png", "test", "test", ("a", "b")),
        ("Train/1.png TEST/1.png", "test", "TEST", ()),
        ("training/1.png testing/1.png", "train", "training", ()),
        ("train/1.png valid/1.png", "validation", "valid", ()),
        ("train/1.png val/1.png", "val", "val", ()),
        ("train/1.png", "train", "train", ()),
        ("test/1.png", "test", "test", ()),
        ("train/1.png mine/1.png", "mine", "mine", ()),
        # A folder without pictures, or one that is not the user's own, is not a class.
        ("train/1.png test/1.png labels/1.txt @eaDir/1.png .git/1.png", "train", "train", ()),
        # Without a folder for training, a folder called test among loose pictures is a folder like any other.
        ("1.png test/2.png", "train", "", ()),
    ],
)
def test_splits_are_told_from_classes(tmp_path, names, split, root, classes):
    touch(tmp_path, *names.split())
    found = listing(tmp_path, split=split)
    assert (found.root, found.class_names) == (tmp_path / root, classes)


@pytest.mark.parametrize(
    ("names", "split", "expected"),
    [
        ("bus/1.png train/1.png", "test", "has no folder named 'test'$"),
        ("bus/1.png test/1.png", "test", "named 'test'. 'test' is not a split because it is next to 'bus'"),
        ("train/1.png dev/1.png", "test", "named 'test'. It has 'dev', 'train'. Name one of them with `split`"),
        ("test/1.png", "train", "named 'train'. It has 'test'. Name one of them with `split`"),
        ("1.png 2.png", "test", "has no folder named 'test'$"),
    ],
)
def test_a_split_that_is_not_there_names_those_that_are(tmp_path, names, split, expected):
    touch(tmp_path, *names.split())
    with pytest.raises(UnknownSplitError, match=expected):
        listing(tmp_path, split=split)


def test_a_class_called_train_and_pictures_beside_splits_are_said(tmp_path):
    touch(tmp_path / "vehicles", "bus/1.png", "train/1.png")
    assert "'train' in " in listing(tmp_path / "vehicles").notes[0]
    assert listing(tmp_path / "vehicles").notes[0].endswith("folders next to it are not splits: 'bus'")
    touch(tmp_path / "split", "train/1.png", "test/1.png", "cover.png")
    assert listing(tmp_path / "split").notes == (
        f"left out because they lie next to the splits of '{tmp_path / 'split'}': 'cover.png'",
    )


# ---- Classes


@pytest.fixture
def fruit(tmp_path):
    """Three classes of plain tones. The test split lacks the second and has a fourth."""
    tones = {"apple": 10, "berry": 110, "cherry": 210, "unknown": 60}
    for split, names in (("train", ("apple", "berry", "cherry")), ("test", ("apple", "cherry", "unknown"))):
        for name in names:
            for number in range(2):
                picture(tmp_path / "fruit" / split / name / f"{number}.bmp", tones[name] + number)
    (tmp_path / "fruit" / "test" / "berry").mkdir()
    return tmp_path / "fruit"


def test_labels_are_those_of_the_training_split(fruit, in_process, said):
    config, train = prepare(folder_config(fruit, conditional=True))
    test = open_test_split(config).data
    assert train.class_names == test.class_names == ("apple", "berry", "cherry")
    assert dict(zip(first_pixels(train), train.labels.tolist(), strict=True)) == {
        10: 0, 11: 0, 110: 1, 111: 1, 210: 2, 211: 2
    }  # fmt: skip
    assert dict(zip(first_pixels(test), test.labels.tolist(), strict=True)) == {10: 0, 11: 0, 210: 2, 211: 2}
    text = said.text
    assert (
        f"left out of '{fruit / 'test'}' because the training split has no such classes: 'unknown' (2 pictures)" in text
    )
    assert f"'{fruit / 'test'}' has no pictures of the classes 'berry'" in text
    assert text.count("no such classes") == 1


def test_labels_do_not_depend_on_which_split_is_looked_up_first(fruit, in_process):
    config, test = prepare(folder_config(fruit, split="test"))
    assert config.class_names == ("apple", "berry", "cherry")
    assert test.labels.tolist() == [0, 0, 2, 2]
    picture(fruit / "train" / "banana" / "0.bmp", 160)
    _, again = prepare(folder_config(fruit, split="test"))
    assert again.class_names == ("apple", "banana", "berry", "cherry")
    assert again.labels.tolist() == [0, 0, 3, 3]


@pytest.mark.parametrize("kept", ["1.png 2.png", "Apple/1.png Cherry/2.png"])
def test_a_split_without_the_classes_has_no_labels(tmp_path, kept):
    touch(tmp_path, "train/apple/1.png", "train/cherry/1.png", *(f"test/{name}" for name in kept.split()))
    found = listing(tmp_path, split="test")
    assert (found.class_names, len(found.names)) == ((), 2)
    assert "has no labels: expected the classes 'apple', 'cherry'" in found.notes[0]


def test_unlabeled_test_split_serves_a_conditional_run(fruit, in_process):
    shutil.rmtree(fruit / "test")
    for number in range(3):
        picture(fruit / "test" / f"{number}.bmp", number)
    config, _ = prepare(folder_config(fruit, conditional=True))
    split = open_test_split(config)
    assert (split.is_held_out, split.data.class_names, split.data.labels.tolist()) == (True, (), [-1] * 3)


def test_a_renamed_class_folder_is_named(fruit, in_process):
    config, _ = prepare(folder_config(fruit))
    (fruit / "train" / "berry").rename(fruit / "train" / "blueberry")
    with pytest.raises(UserError, match="this run began: missing: 'berry'; new: 'blueberry'"):
        prepare(config)
    assert open_test_split(config).describe() == "test"  # This does not resume the run.


@pytest.mark.parametrize(("folder", "name"), [("valid", "validation"), ("val", "validation"), ("testing", "test")])
def test_held_out_split_by_any_usual_name(tmp_path, in_process, folder, name):
    for number in range(2):
        picture(tmp_path / "data" / "train" / f"{number}.bmp", 100 * number)
        picture(tmp_path / "data" / folder / f"{number}.bmp", 100 * number + 50)
    config, _ = prepare(folder_config(tmp_path / "data"))
    assert open_test_split(config).describe() == name
    # The split that a run was trained on is not held out, whatever it is called.
    shutil.rmtree(tmp_path / "data" / "train")
    config, _ = prepare(folder_config(tmp_path / "data", split=folder))
    assert not open_test_split(config).is_held_out


# ---- What is left out


def test_runs_exports_and_system_folders_are_left_out(tmp_path):
    with run_directory.open_run(str(tmp_path / "runs" / "000-folder"), Config()) as run:
        run.save_config()  # A run that has only just begun
        touch(run.samples, "step-00000000.png")
    touch(tmp_path, "runs/copied/config.json", "runs/copied/metrics.jsonl", "runs/copied/curves.png")
    shutil.copy(run.directory / "config.json", tmp_path / "runs" / "copied")
    touch(tmp_path, "export/1/saved_model.pb", "export/1/assets.extra/picture.png")
    touch(tmp_path, "@eaDir/1.png", "__MACOSX/2.png", ".thumbnails/3.png", "lost+found/4.png", "@tmp/5.png")
    touch(tmp_path, "contact_sheet.png", "mine.png", "album/config.json", "album/checkpoints/6.png", "album/7.png")
    found = listing(tmp_path)
    assert found.names == ("album/7.png", "album/checkpoints/6.png", "mine.png")
    assert found.notes[0] == (
        f"left out of '{tmp_path}' because this program made them: 'contact_sheet.png', 'export/1', 'runs/000-folder', "
        "'runs/copied'"
    )


def test_own_sheets_are_no_data(tmp_path, in_process, monkeypatch, said):
    folder = tmp_path / "photos"
    for number in range(4):
        picture(folder / f"{number}.png", 20 * number)
    samples = np.full((16, 16, 3), 7, np.uint8)
    before, _ = prepare(folder_config(folder))
    save_png(samples.repeat(4, axis=0), folder / "samples.png")
    save_animation(caption_grids([folder / "samples.png"], ["a caption"]), folder / "walk.gif", 10)
    after, again = prepare(folder_config(folder))
    assert (before.image_size, before.data_digest) == (after.image_size, after.data_digest)
    assert again.bad_files == 0
    assert "because this program made them: 'samples.png', 'walk.gif'" in said.text
    monkeypatch.setattr(listing_module, "MAX_LOOSE_PICTURES", 5)  # Too many to open each one at every start
    _, again = prepare(folder_config(folder, max_bad_share=0.4))
    assert (again.directory / "bad_files.txt").read_text().splitlines() == [
        "samples.png: a sheet that this program made",
        "walk.gif: a sheet that this program made",
    ]
    assert again.digest == before.data_digest
    save_png(samples, folder / "5.png", sheet=False)  # A single generated image is a picture.
    assert first_pixels(prepare(folder_config(folder, max_bad_share=0.4))[1]) == [0, 20, 40, 60, 7]


def test_a_sheet_beside_classes_and_splits_changes_neither(tmp_path):
    for name in ("cat/1.png", "dog/1.png"):
        picture(tmp_path / "classes" / name)
        picture(tmp_path / "splits" / "test" / name)
    for folder in (tmp_path / "classes", tmp_path / "splits"):
        save_png(np.zeros((8, 8, 1), np.uint8), folder / "samples.png")
    assert listing(tmp_path / "classes").class_names == ("cat", "dog")
    assert listing(tmp_path / "splits", split="test").class_names == ("cat", "dog")
    picture(tmp_path / "classes" / "loose.png")
    assert listing(tmp_path / "classes").class_names == ()


def test_pictures_of_a_phone_are_read_or_named(tmp_path, in_process):
    folder = tmp_path / "phone"
    for number in range(2):
        picture(folder / f"{number}.JPG", 100)
    picture(folder / "a.jpeg", 100)
    (folder / "a.jpeg").rename(folder / "download.jfif")
    for number, kind in enumerate(("JPEG", "PNG", "BMP", "GIF", "WEBP")):
        Image.new("RGB", (16, 16)).save(folder / f"by-content-{number}", format=kind)
    touch(folder, *(f"{number}.HEIC" for number in range(3)), "scan.tif", "film.MOV", "empty")
    (folder / "README").write_text("BMW and PNG files of a phone")
    os.mkfifo(folder / "pipe")
    found = find_folder(folder_config(folder))
    assert found.names == ("0.JPG", "1.JPG", *(f"by-content-{number}" for number in range(5)), "download.jfif")
    assert found.notes == (
        f"left out of '{folder}': 4 files (3 .heic, 1 .tif), such as '0.HEIC', in unsupported formats. Convert "
        "them to PNG or JPEG to use them; the package pillow-heif reads HEIC",
        f"left out of '{folder}': 4 files (3 without an ending, 1 .mov), such as 'README', which are not pictures",
    )
    assert len(prepare(folder_config(folder))[1].images) == 8


def test_names_with_control_characters_are_escaped_in_notes(tmp_path):
    touch(tmp_path, "1.png", "\x1b[31mred.heic", "2.\x07")
    notes = "".join(listing(tmp_path).notes)
    assert r"\x1b[31mred.heic" in notes
    assert r"1 .\x07" in notes
    assert notes.isprintable()


# ---- The key of the cache


def test_folders_alike_in_names_sizes_and_times_are_not_mixed_up(tmp_path, in_process):
    """This includes a file that is overwritten in place and given its old modification time."""
    config, shown = folder_config(tmp_path / "a" / "photos", cache_dir=str(tmp_path / "cache")), []
    for folder, tone in (("a", 10), ("b", 200), ("a", 90)):
        for number in range(2):
            path = tmp_path / folder / "photos" / f"{number}.bmp"
            picture(path, tone)
            os.utime(path, (10**9, 10**9))
        _, data = prepare(folder_config(path.parent, cache_dir=config.cache_dir))
        shown.append(first_pixels(data))
    assert shown == [[10, 10], [200, 200], [90, 90]]


# ---- Runs of earlier releases


@pytest.fixture
def earlier(tmp_path):
    """Makes a folder of the given pictures and returns the settings of an earlier release's run on them."""

    def make(names, **changes):
        for name, tone in names.items():
            picture(tmp_path / "photos" / name, tone)
            os.utime(tmp_path / "photos" / name, (10**9, 10**9))
        config = folder_config(tmp_path / "photos", image_size="16", **changes)
        run_directory.Run(tmp_path, config).save_config()
        text = (tmp_path / "config.json").read_text()
        (tmp_path / "config.json").write_text(text.replace('  "data_rules": 0,\n', ""))
        return run_directory.load_run(tmp_path).config

    return make


def tones(folder, count, first):
    return {f"{folder}/{number}.bmp": first + number for number in range(count)}


# The directories and digests that earlier releases wrote for these folders.
@pytest.mark.parametrize(
    ("names", "split", "directory", "digest", "classes"),
    [
        (tones(".", 6, 0) | {"extra.jpe": 9}, "train", "folder-photos-train-16x3-4b6e6efa", "9cd5b9cd1ae4cbfa", ()),
        (
            tones("bus", 4, 3) | tones("train", 4, 5),
            "train",
            "folder-train-train-16x3-bf18e380",
            "7eb37d8221a0783b",
            (),
        ),
        (
            tones("train/apple", 2, 0)
            | tones("train/berry", 2, 100)
            | tones("test/berry", 2, 50)
            | tones("test/fig", 2, 9),
            "test",
            "folder-test-test-16x3-2f1a61d6",
            "7e697701c4b8e906",
            ("berry", "fig"),
        ),
    ],
)
def test_earlier_runs_find_their_images_in_their_cache(earlier, in_process, names, split, directory, digest, classes):
    config = earlier(names, split=split, data_digest=digest, class_names=classes)
    assert config.data_rules == EARLIER_RULES
    settled, data = prepare(config)
    assert (data.directory.name, data.class_names, settled.data_digest) == (directory, classes, digest)


def test_labels_keep_their_meaning_for_an_earlier_run(earlier, in_process):
    """The run's classes number the test split, even if an earlier release has prepared the split."""
    names = tones("train/a", 2, 0) | tones("train/b", 2, 100) | tones("train/c", 2, 200)
    names |= tones("test/a", 2, 10) | tones("test/c", 2, 210)
    _, by_itself = prepare(earlier(names, split="test"))
    config, _ = prepare(earlier(names, conditional=True))
    assert by_itself.labels.tolist() == [0, 0, 1, 1]
    assert open_split(config, "test").labels.tolist() == [0, 0, 2, 2]


def test_new_runs_settle_the_newest_rules(tmp_path):
    picture(tmp_path / "photos" / "1.png")
    config = folder_config(tmp_path / "photos")
    assert resolve(config, find_folder(config)).data_rules == RULES
