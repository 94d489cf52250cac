import shutil

import numpy as np
import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.data import bundled
from dcgan_tf.data.prepare import prepare
from dcgan_tf.data.sources import find_source
from dcgan_tf.errors import UnknownSplitError, UserError

# Digests of the images and labels that TensorFlow Datasets returns, in its order.
DIGESTS_BY_TFDS = {"test": "206db09d48cbecb4", "train[:100]": "5648fec40a87e10f"}


@pytest.mark.parametrize("split", DIGESTS_BY_TFDS)
def test_bundled_digits_are_those_of_tensorflow_datasets_in_its_order(split):
    config, data = prepare(make_config({"split": split}))
    assert data.digest == DIGESTS_BY_TFDS[split]
    assert (config.image_size, config.channels, data.source) == ("28", "1", "mnist/3.0.1")
    assert data.class_names == tuple("0123456789")


def test_labels_are_those_of_the_test_split():
    _, data = prepare(make_config({"split": "test"}))
    assert np.bincount(data.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize(
    ("split", "count"),
    [
        ("train", 60_000),
        ("train[:5000]", 5000),
        ("train[-50%:]", 30_000),
        ("test[-100:]+train[:3]", 103),
        ("all", 70_000),
    ],
)
def test_splits_in_the_notation_of_tensorflow_datasets(split, count):
    assert find_source(make_config({"split": split})).count() == count


@pytest.mark.parametrize("split", ["validation", "train[:x]", "train[", ""])
def test_unknown_split_names_the_splits(split):
    with pytest.raises(UnknownSplitError, match=r"^`split`: mnist has no split .*Expected one of: train, test, or"):
        find_source(make_config({"split": split}))


def test_damaged_file_is_one_line(tmp_path, monkeypatch):
    folder = shutil.copytree(bundled.BUNDLED_MNIST, tmp_path / "mnist")
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"not gzip")
    monkeypatch.setattr(bundled, "BUNDLED_MNIST", folder)
    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz' is damaged\. Install"):
        prepare(make_config({"split": "test", "cache_dir": str(tmp_path)}))
