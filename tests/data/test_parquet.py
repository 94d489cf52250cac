"""Parquet files as Hugging Face distributes image data sets."""

import dataclasses
import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dcgan_tf.api
from dcgan_tf.config.making import make_config
from dcgan_tf.data.parquet import find_parquet
from dcgan_tf.data.prepare import prepare, resolve
from dcgan_tf.data.shards import Shard
from dcgan_tf.data.sources import find_source
from dcgan_tf.errors import UnknownSplitError, UserError
from dcgan_tf.evaluation.splits import open_split, open_test_split
from tests.data.test_archive import png
from tests.data.test_folder import first_pixels

FEATURES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}


def table(values, labels=None, features=FEATURES, column="image"):
    """A table of pictures of one gray level each, as Hugging Face's library stores them."""
    contents = [value if value is None or isinstance(value, bytes) else png(value) for value in values]
    columns = {column: [{"bytes": content, "path": None} for content in contents]}
    columns |= {} if labels is None else {"label": labels}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if features else None
    return pa.table(columns).replace_schema_metadata(metadata)


def write(path, values, labels=None, rows_per_group=3, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(values, labels, **options), path, row_group_size=rows_per_group)
    return path


def parquet_config(path, **changes):
    typed = {"dataset": "parquet", "data_dir": str(path), "batch_size": 2, "cache_dir": str(path.parent / "cache")}
    return make_config({**typed, **changes})


@pytest.fixture
def data_set(tmp_path):
    """Two training files and one test file, named as on the Hugging Face Hub."""
    write(tmp_path / "hub" / "data" / "train-00000-of-00002-0ab1.parquet", range(7), [0, 1, 1, 0, 0, 0, 1])
    write(tmp_path / "hub" / "data" / "train-00001-of-00002-0ab1.parquet", range(7, 10), [1, 1, 0])
    write(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet", [50, 60], [1, -1])
    return tmp_path / "hub"


def test_pictures_and_labels_of_all_files(data_set, in_process, monkeypatch):
    """Shards begin and end within files and row groups."""
    monkeypatch.setattr("dcgan_tf.data.shards.ROWS_PER_SHARD", 4)
    config, data = prepare(parquet_config(data_set))
    assert first_pixels(data) == list(range(10))
    assert data.labels.tolist() == [0, 1, 1, 0, 0, 0, 1, 1, 1, 0]
    assert (config.class_names, config.image_size, config.channels) == (("cat", "dog"), "16", "3")
    assert data.source == "parquet/hub"
    test = open_test_split(config)
    assert (test.name, test.data.labels.tolist(), test.is_held_out) == ("test", [1, -1], True)
    with pytest.raises(UnknownSplitError, match=r"no files of the split 'mine'\. It has test, train"):
        open_split(config, "mine")


def test_processes_read_the_files(data_set):
    assert first_pixels(prepare(parquet_config(data_set))[1]) == list(range(10))


def test_single_file_from_python(tmp_path):
    path = write(tmp_path / "my pictures.parquet", range(4))
    assert dcgan_tf.api._open_data(path, None) == (None, {"dataset": "parquet", "data_dir": str(path)})
    assert dcgan_tf.api._open_data(tmp_path, None)[1]["dataset"] == "parquet"
    source = find_parquet(parquet_config(path))
    assert (source.count(), source.class_names, source.notes) == (4, (), ())
    with pytest.raises(UnknownSplitError, match="name no splits"):
        find_parquet(parquet_config(path, split="test"))


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [(["b", "a", "b"], ("a", "b"), [1, 0, 1]), ([10, 2, 10], ("2", "10"), [1, 0, 1]), ([3, 3, 3], (), [-1] * 3)],
)
def test_labels_without_names_name_themselves(tmp_path, in_process, labels, classes, numbers):
    path = write(tmp_path / "x.parquet", range(3), labels, features=None)
    config, data = prepare(parquet_config(path))
    assert (config.class_names, data.labels.tolist()) == (classes, numbers)


def test_plain_bytes_and_other_names(tmp_path, in_process):
    """The image column is found by its declaration, by its name, or because it is the only column of bytes."""
    pq.write_table(pa.table({"id": [1, 2], "scan": [png(1), png(2)]}), tmp_path / "plain.parquet")
    assert first_pixels(prepare(parquet_config(tmp_path / "plain.parquet"))[1]) == [1, 2]
    pq.write_table(pa.table({"mask": [b"x", b"y"], "img": [png(1), png(2)]}), tmp_path / "two.parquet")
    assert find_parquet(parquet_config(tmp_path / "two.parquet")).columns.image == "img"


def test_bad_pictures_are_named_by_their_rows(tmp_path, in_process):
    path = write(tmp_path / "some.parquet", [1, None, 3, b"no picture", 5], [0, 1, 1, 0, 0])
    _, data = prepare(parquet_config(path, max_bad_share=0.5))
    assert (first_pixels(data), data.labels.tolist()) == ([1, 3, 5], [0, 1, 0])
    assert (data.directory / "bad_files.txt").read_text() == (
        "some.parquet row 1: no bytes\nsome.parquet row 3: not a picture in a supported format\n"
    )


def test_run_resumes_on_moved_files_and_refuses_others(data_set, in_process, tmp_path):
    config, data = prepare(parquet_config(data_set))
    shutil.move(data_set, tmp_path / "moved")
    moved = dataclasses.replace(config, data_dir=str(tmp_path / "moved"))
    assert prepare(moved)[1].digest == data.digest
    write(tmp_path / "moved" / "data" / "train-00001-of-00002-0ab1.parquet", range(8, 11), [1, 1, 0])
    with pytest.raises(UserError, match="have changed since this run began"):
        prepare(moved)


def test_file_that_is_replaced_while_in_use_is_one_line(tmp_path, in_process):
    path = write(tmp_path / "x.parquet", range(4))
    source = find_parquet(parquet_config(path))
    write(path, range(3))
    with pytest.raises(UserError, match="was replaced while it was in use"):
        list(source.map_shards(lambda _, pictures: list(pictures), [Shard(0, 4)]))


def test_file_whose_pictures_are_damaged_is_one_line(tmp_path, in_process):
    path = write(tmp_path / "x.parquet", range(4))
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    source = find_parquet(parquet_config(path))
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read the parquet file .*x.parquet'"):
        list(source.map_shards(lambda _, pictures: list(pictures), [Shard(0, 4)]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda path: pq.write_table(pa.table({"a": [1], "b": ["x"]}), path),
            r"a column of images .* has: a \(int64\), b",
        ),
        (
            lambda path: pq.write_table(pa.table({"a": [b""], "b": [b""]}), path),
            r"a column of images in bytes, such as image",
        ),
        (lambda path: path.write_bytes(b"PAR1 no parquet PAR1"), "cannot read the parquet file"),
        (lambda path: path.touch(), "cannot read the parquet file"),
        (lambda path: path.with_suffix(".csv").touch(), "expected a file that ends in .parquet, or a folder"),
    ],
)
def test_files_that_cannot_be_used_are_one_line(tmp_path, make, message):
    make(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=message) as error:
        find_source(parquet_config(tmp_path))
    assert "\n" not in str(error.value)


def test_settings_without_effect_are_refused(tmp_path):
    assert parquet_config(tmp_path, background="black", max_bad_share=0.3)
    with pytest.raises(UserError, match="`manual_dir` has no effect with `dataset=parquet`"):
        parquet_config(tmp_path, manual_dir="x")
    with pytest.raises(UserError, match="`dataset=parquet`: name the parquet file, or the folder"):
        find_source(make_config({"dataset": "parquet"}))


def test_gray_pictures_are_gray(tmp_path):
    import io

    from PIL import Image

    content = io.BytesIO()
    Image.new("L", (20, 18)).save(content, "PNG")
    path = write(tmp_path / "gray.parquet", [content.getvalue()] * 2)
    config = parquet_config(path)
    settled = resolve(config, find_parquet(config))
    assert (settled.channels, settled.image_size) == ("1", "18x20")
