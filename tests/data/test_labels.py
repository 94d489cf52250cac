"""Files that give the class of each picture."""

import dataclasses
import json
import shutil

import pytest

from dcgan_tf.data.folder import find_folder
from dcgan_tf.data.listing import RULES_WITHOUT_LABEL_FILES
from dcgan_tf.data.prepare import prepare
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.splits import open_split
from tests.data.test_archive import archive, png
from tests.data.test_folder import first_pixels, folder_config, picture

NAMES = ("1.png", "2.png", "sub/3.png")


@pytest.fixture
def labeled(tmp_path):
    """Makes a folder of pictures with a labels file of the given contents."""

    def make(content, file="labels.csv", names=NAMES):
        for number, name in enumerate(names):
            picture(tmp_path / "photos" / name, 10 * number)
        (tmp_path / "photos" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "photos" / file).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / "photos"

    return make


@pytest.mark.parametrize(
    "content",
    [
        "file,label\n1.png,dog\n2.png,cat\nsub/3.png,dog\n",
        "\ufeffLabel;File;Author\r\ndog;1.png;x\r\ncat;./2.png;\r\n\r\ndog;sub\\3.png;y\r\n",
        'label\tfile\ndog\t1.png\n"cat"\t"2.png"\n dog \tsub/../sub/3.png\n',
    ],
)
def test_table_gives_the_classes(labeled, in_process, content):
    config, data = prepare(folder_config(labeled(content)))
    assert (config.class_names, data.labels.tolist()) == (("cat", "dog"), [1, 0, 1])
    assert find_folder(folder_config(labeled(content))).notes == ()


def test_file_of_stylegan_gives_the_classes(labeled):
    """Classes are sorted as numbers. The folders of StyleGAN's converter are not classes, even without labels."""
    names = ("00000/img0.png", "00000/img1.png", "00001/img2.png")
    rows = json.dumps({"labels": [[names[0], 10], [names[1], 9], [names[2], 10]]})
    found = find_folder(folder_config(labeled(rows, "dataset.json", names)))
    assert (found.class_names, found.labels) == (("9", "10"), (1, 0, 1))
    found = find_folder(folder_config(labeled('{"labels": null}', "dataset.json", names)))
    assert (found.class_names, found.labels) == ((), (-1, -1, -1))


def test_labels_come_before_folders(labeled):
    rows = "file,label\na/1.png,x\nb/2.png,y\na/3.png,y\n"
    found = find_folder(folder_config(labeled(rows, names=("a/1.png", "a/3.png", "b/2.png"))))
    assert (found.class_names, found.labels) == (("x", "y"), (0, 1, 1))
    assert "not the folders of the pictures" in found.notes[0]


def test_a_single_class_is_none(labeled):
    found = find_folder(folder_config(labeled("file,label\n1.png,a\n2.png,a\nsub/3.png,a\n")))
    assert (found.class_names, found.labels) == ((), (-1, -1, -1))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["top", "splits"])
def test_every_split_has_the_classes_of_the_training_split(labeled, in_process, tmp_path, place, packed):
    names = ("train/1.png", "train/2.png", "train/3.png", "test/4.png", "test/5.png")
    rows = dict(zip(names, ("c", "a", "b", "c", "a"), strict=True))
    files = {"labels.csv": rows}
    if place == "splits":
        files = {
            f"{split}/labels.csv": {k.split("/")[1]: v for k, v in rows.items() if k.startswith(split)}
            for split in ("train", "test")
        }
    for file, own in files.items():
        folder = labeled("file,label\n" + "".join(f"{name},{label}\n" for name, label in own.items()), file, names)
    if packed:
        folder = shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    config, data = prepare(folder_config(tmp_path / folder))
    assert (config.class_names, data.labels.tolist()) == (("a", "b", "c"), [2, 0, 1])
    assert open_split(config, "test").labels.tolist() == [2, 0]


def test_labels_are_part_of_the_data(labeled, in_process):
    """Changed labels are changed data: the data is prepared again, and an existing run refuses them."""
    folder = labeled("file,label\n1.png,a\n2.png,b\nsub/3.png,a\n")
    config, before = prepare(folder_config(folder))
    (folder / "labels.csv").write_text("file,label\n1.png,b\n2.png,a\nsub/3.png,a\n")
    _, after = prepare(folder_config(folder))
    assert (before.labels.tolist(), after.labels.tolist()) == ([0, 1, 0], [1, 0, 0])
    with pytest.raises(UserError, match="the images of folder/photos have changed since this run began"):
        prepare(config)
    (folder / "labels.csv").write_text("file,label\n1.png,a\n2.png,new\nsub/3.png,a\n")
    with pytest.raises(UserError, match=r"the classes of .* have changed .*: missing: 'b'; new: 'new'"):
        prepare(config)


def test_moved_pictures_keep_their_labels(labeled, in_process, tmp_path):
    config, before = prepare(folder_config(labeled("file,label\n1.png,a\n2.png,b\nsub/3.png,a\n")))
    shutil.move(tmp_path / "photos", tmp_path / "moved")
    _, after = prepare(dataclasses.replace(config, data_dir=str(tmp_path / "moved")))
    assert after.digest == before.digest


def test_runs_of_earlier_rules_look_at_folders_only(labeled):
    folder = labeled("file,label\nwrong\n", names=("a/1.png", "b/2.png"))
    config = dataclasses.replace(folder_config(folder), data_rules=RULES_WITHOUT_LABEL_FILES)
    assert find_folder(config).class_names == ("a", "b")


def test_sheets_of_this_program_need_no_label(labeled, tmp_path):
    from dcgan_tf.drawing.grids import make_grid, save_png
    from tests.small_runs import read

    folder = labeled("file,label\n1.png,a\n2.png,b\nsub/3.png,a\n")
    save_png(make_grid(read(folder / "1.png")[None]), folder / "grid.png")
    assert find_folder(folder_config(folder)).labels == (0, 1, 0)


@pytest.mark.parametrize(
    ("content", "file", "message"),
    [
        ("", "labels.csv", "expected the columns file and label. Received: an empty file"),
        ("id,class\n1.png,a\n", "labels.csv", "expected the columns file and label. Received: id, class. Correct the"),
        ("file,label\n1.png,a\n2.png\n", "labels.csv", "line 3: expected a file and a label. Received: 2.png"),
        ("file,label\n1.png,a\n2.png, \n", "labels.csv", "line 3: expected a file and a label"),
        ("file,label\n1.png,a\n./1.png,b\n", "labels.csv", "it lists '1.png' twice"),
        ("file,label\n/etc/1.png,a\n", "labels.csv", "expected paths below its folder. Received: '/etc/1.png'"),
        ("file,label\n../1.png,a\n", "labels.csv", "expected paths below its folder"),
        ('file,label\n"1.png,a\n', "labels.csv", "unexpected end of data"),
        (b"file,label\n\xff.png,a\n", "labels.csv", "can't decode byte"),
        (
            "file,label\n1.png,a\n2.png,b\nsub/3.png,a\nx.png,a\n",
            "labels.csv",
            "names 1 file that cannot be .*: 'x.png'",
        ),
        ("file,label\n1.png,a\n", "labels.csv", "has no label for 2 pictures: '2.png', 'sub/3.png'"),
        ("[]", "dataset.json", 'expected an object with "labels"'),
        ("{", "dataset.json", "Expecting property name"),
        ("[" * 100_000, "dataset.json", "cannot read the labels"),
        ('{"labels": 3}', "dataset.json", "expected pairs such as"),
        ('{"labels": [["1.png", [0.1, 0.2]]]}', "dataset.json", "expected pairs such as"),
        ('{"labels": [["1.png", 1], ["1.png", 1]]}', "dataset.json", "it lists '1.png' twice"),
    ],
)
def test_labels_that_cannot_be_used_are_one_line(labeled, content, file, message):
    with pytest.raises(UserError, match=message) as error:
        find_folder(folder_config(labeled(content, file)))
    assert "\n" not in str(error.value)
    assert file in str(error.value)


def test_labels_in_an_archive(tmp_path, in_process):
    rows = json.dumps({"labels": [["00000/0.png", 1], ["00000/1.png", 0]]})
    files = {"00000/0.png": png(0), "00000/1.png": png(1), "dataset.json": rows}
    config, data = prepare(folder_config(archive(tmp_path / "stylegan.zip", files)))
    assert (first_pixels(data), config.class_names, data.labels.tolist()) == ([0, 1], ("0", "1"), [1, 0])
