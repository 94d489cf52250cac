import contextlib
import dataclasses
import gzip
import shutil

import numpy as np
import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.data import sources
from dcgan_tf.data.bundled import BUNDLED_MNIST
from dcgan_tf.data.prepare import prepare
from dcgan_tf.errors import UserError

# By name: imported here, TensorFlow Datasets would read TFDS_DATA_DIR before the tests have set it.
DOWNLOAD_AND_PREPARE = "tensorflow_datasets.core.DatasetBuilder.download_and_prepare"


def read_images(path):
    """The images of an original MNIST-format file: 16 bytes of header, then one byte per pixel."""
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1)


def same_images(first, second):
    """Equal as sets: TFDS shuffles what it prepares."""
    return sorted(map(bytes, first)) == sorted(map(bytes, second))


def test_bundled_files_are_the_originals(real_data):
    for original in real_data("mnist").glob("*.gz"):
        assert (BUNDLED_MNIST / original.name).read_bytes() == original.read_bytes()


def test_each_data_set_has_its_own_folder_of_downloads(real_data, tmp_path, monkeypatch):
    """TensorFlow Datasets mistakes an extracted file of another data set for its own if the names are the same."""
    folders = []
    monkeypatch.setattr(DOWNLOAD_AND_PREPARE, lambda self, download_dir, **_: folders.append(download_dir))
    for dataset in ("mnist", "fashion_mnist"):
        manual = str(real_data(dataset))
        typed = {"dataset": dataset, "manual_dir": manual, "data_dir": str(tmp_path)}
        sources.find_source(make_config(typed)).prepare()
    assert folders == [tmp_path / "downloads" / "mnist", tmp_path / "downloads" / "fashion_mnist"]


@pytest.fixture(scope="module")
def tfds_mnist(tmp_path_factory):
    """A folder where TensorFlow Datasets has prepared MNIST."""
    folder = tmp_path_factory.mktemp("tfds")
    sources.find_source(make_config({"data_dir": str(folder)})).prepare()
    return folder


@pytest.mark.long
def test_data_set_that_another_process_prepares_is_waited_for(tmp_path, monkeypatch, tfds_mnist):
    """The other process may want another split. TensorFlow Datasets fails if two processes prepare one data set."""
    source = sources.find_source(make_config({"data_dir": str(tmp_path), "split": "test"}))
    locked = sources.locked

    @contextlib.contextmanager
    def locked_after_another(directory, setting):
        with locked(directory, setting):
            directory.symlink_to(tfds_mnist / "mnist")
            yield

    monkeypatch.setattr(sources, "locked", locked_after_another)
    source.prepare()
    assert source.count() == 10_000


@pytest.mark.long
def test_fashion_mnist_holds_clothes_after_mnist_was_prepared_beside_it(real_data):
    prepare(make_config({"split": "test"}))
    originals = real_data("fashion_mnist")
    config = make_config({"dataset": "fashion_mnist", "manual_dir": str(originals), "split": "test"})
    _, data = prepare(config)
    assert data.class_names[:3] == ("T-shirt/top", "Trouser", "Pullover")
    assert same_images(data.images, read_images(originals / "t10k-images-idx3-ubyte.gz"))
    assert not same_images(data.images, read_images(BUNDLED_MNIST / "t10k-images-idx3-ubyte.gz"))


@pytest.mark.long
@pytest.mark.parametrize("split", ["train", "test", "train[-50%:]", "test[-100:]+train[:3]", "all"])
def test_prepared_copy_is_used_without_any_file_and_equals_the_bundled_digits(tmp_path, tfds_mnist, split):
    folders = {"data_dir": str(tfds_mnist), "manual_dir": str(tmp_path), "cache_dir": str(tmp_path)}
    _, data = prepare(make_config({"split": split, **folders}))
    assert data.digest == prepare(make_config({"split": split}))[1].digest


def test_truncated_file_is_named(tmp_path):
    manual = shutil.copytree(BUNDLED_MNIST, tmp_path / "manual")
    file = manual / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:5_000_000])
    config = make_config({"manual_dir": str(manual), "data_dir": str(tmp_path), "cache_dir": str(tmp_path / "cache")})
    with pytest.raises(UserError, match=r"manual' is damaged or not the original.*train-images-idx3-ubyte.gz"):
        prepare(config)
    assert not list((tmp_path / "cache").glob("[!.]*"))


def test_without_network_a_download_is_refused(tmp_path, monkeypatch):
    # No name resolves through this proxy, so the outcome is the same on a machine that has a network.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    config = make_config({"dataset": "cifar10", "data_dir": str(tmp_path)})
    # TensorFlow Datasets would retry for minutes.
    monkeypatch.setattr(DOWNLOAD_AND_PREPARE, None)
    with pytest.raises(UserError, match=r"`dataset=cifar10`: it is not on disk.*cannot be reached.*`manual_dir`"):
        prepare(config)


def test_answer_of_any_kind_counts_as_a_network(monkeypatch):
    def answer(request, timeout):
        raise sources.urllib.error.HTTPError(request.full_url, 403, "forbidden", {}, None)

    monkeypatch.setattr(sources.urllib.request, "urlopen", answer)
    sources._check_network("https://example.com/file", "any")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("mnits", "unknown data set 'mnits'. Similar names are: .*mnist"),
        ("no/such", "unknown data set"),
        ("a b", "unknown data set"),
        ("mnist/blue", "cannot use 'mnist/blue'"),
        ("ag_news_subset", "expected a data set with an 'image'"),
    ],
)
def test_unusable_data_set_is_one_line(dataset, expected):
    with pytest.raises(UserError, match=expected) as error:
        sources.find_source(make_config({"dataset": dataset}))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["1.jpg", "cat/1.png", "2020/05/a picture.JPEG"])
def test_pictures_without_the_data_set_folder_are_refused(tmp_path, name):
    folder = tmp_path / "photos"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).touch()
    with pytest.raises(UserError, match=f"holds pictures, such as '.*{name}', .*add `dataset=folder`"):
        sources.find_source(make_config({"data_dir": str(folder)}))
    # A run that continues has settled that it uses other data.
    sources.find_source(dataclasses.replace(make_config({"data_dir": str(folder)}), data_rules=1))


@pytest.mark.parametrize("name", ["downloads/extracted/ZIP/1.jpg", "mnist/3.0.1/features.json", "@eaDir/1.jpg"])
def test_folder_of_tensorflow_datasets_is_taken(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert sources.find_source(make_config({"data_dir": str(tmp_path)})).full_name == "mnist/3.0.1"


@pytest.mark.parametrize("typed", ["{folder}", "./photos", "my photos", "~/nowhere"])
def test_folder_for_a_data_set_is_hinted(tmp_path, monkeypatch, typed):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my photos").mkdir()
    with pytest.raises(UserError, match=r"use `dataset=folder` `data_dir=.*(photos|nowhere)'?`$"):
        sources.find_source(make_config({"dataset": typed.format(folder=tmp_path / "photos")}))


@pytest.mark.long
def test_unknown_split_names_the_splits(tfds_mnist):
    with pytest.raises(UserError, match=r"`split`.*'validation'.*test.*train"):
        prepare(make_config({"split": "validation", "data_dir": str(tfds_mnist)}))


def test_missing_manual_dir_is_named(tmp_path):
    config = make_config({"manual_dir": str(tmp_path / "none"), "data_dir": str(tmp_path), "cache_dir": str(tmp_path)})
    with pytest.raises(UserError, match="`manual_dir`: expected a folder"):
        prepare(config)
