import dataclasses
import shutil

import numpy as np
import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.data.prepare import cache_root, prepare
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import classifier
from dcgan_tf.evaluation.classifier import (
    build_classifier,
    fit_classifier,
    load_or_train_classifier,
    right_answers,
)
from dcgan_tf.evaluation.splits import open_test_split
from dcgan_tf.models.weights import digest_of_weights
from tests.evaluation.conftest import draw


def test_trained_once_then_read_and_trained_again_where_damaged(bars_config, short_classifier_training, tmp_path, said):
    bars_config = dataclasses.replace(bars_config, cache_dir=str(tmp_path))  # An empty cache
    first = load_or_train_classifier(bars_config)
    assert first.accuracy > 0.95
    assert first.accuracy_split == "120 images of test"
    assert first.name.endswith("-classifier")
    assert "Training the" in said.text
    said.clear()

    second = load_or_train_classifier(bars_config)
    assert "Training the" not in said.text
    assert (second.digest, second.accuracy) == (first.digest, first.accuracy)

    (path,) = (cache_root(bars_config) / "classifiers").glob(f"{first.name}-*.npz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    third = load_or_train_classifier(bars_config)
    assert "is damaged" in said.text
    # Trained again, it has the same weights, bit for bit.
    assert third.digest == first.digest


def test_classifier_of_the_bundled_digits_is_bundled(tmp_path, said):
    config, data = prepare(make_config({"split": "test"}))
    ours = load_or_train_classifier(config)
    assert "Training the" not in said.text
    assert ours.accuracy_split == "10000 images of test"
    assert ours.accuracy > 0.99
    rows = np.arange(0, 10_000, 50)
    assert right_answers(ours.network, data, rows).mean() > 0.98


def test_accuracy_is_of_the_present_test_images(bars, bars_config, monkeypatch, tmp_path):
    """A test split that changed, or that an earlier release labeled differently, is measured again."""
    monkeypatch.setattr(classifier, "STEPS", 1)
    data = shutil.copytree(bars, tmp_path / "bars")
    config = dataclasses.replace(bars_config, data_dir=str(data), cache_dir=str(tmp_path))
    first = load_or_train_classifier(config)
    shutil.rmtree(data / "test" / "across")
    again = load_or_train_classifier(config)
    assert (first.accuracy_split, again.accuracy_split) == ("120 images of test", "60 images of test")
    assert again.digest == first.digest
    shutil.rmtree(data / "test")
    shutil.copytree(bars / "test" / "down", data / "test")
    left_out = "30 images of train, held out of its training"  # Never images that it was trained on
    assert load_or_train_classifier(config).accuracy_split == left_out
    hidden = open_test_split(bars_config)  # As in data sets that keep the labels of their test split secret
    labels = np.full_like(hidden.data.labels, -1)
    hidden = dataclasses.replace(hidden, data=dataclasses.replace(hidden.data, labels=labels))
    monkeypatch.setattr(classifier, "open_test_split", lambda _: hidden)
    assert load_or_train_classifier(config).accuracy_split == left_out


def test_weights_depend_on_the_images():
    labels = np.arange(32) % 2
    images = np.stack([draw(label, number)[:, :, None] for number, label in enumerate(labels)])
    digests = []
    for data in (images, 255 - images):
        network = build_classifier((16, 16, 1), 2)
        fit_classifier(network, lambda rows, data=data: data[rows], labels, steps=2, description="fit")
        digests.append(digest_of_weights(network))
    assert digests[0] != digests[1]


def test_data_without_classes(bars_config, bars):
    flat = dataclasses.replace(bars_config, data_dir=str(bars / "train" / "across"))
    with pytest.raises(UserError, match="has no classes"):
        load_or_train_classifier(flat)


@pytest.mark.measurement
@pytest.mark.parametrize(("dataset", "least"), [("mnist", 0.992), ("fashion_mnist", 0.91)])
def test_accuracy_on_real_data(real_data, dataset, least):
    typed = {"dataset": dataset}
    if dataset == "fashion_mnist":
        typed["manual_dir"] = str(real_data("fashion_mnist"))
    config, _ = prepare(make_config(typed))
    assert load_or_train_classifier(config).accuracy >= least
