"""Interrupted training of the classifier, and the recipe for large images."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dcgan_tf import files
from dcgan_tf.config.settings import Config
from dcgan_tf.data.prepare import cache_root
from dcgan_tf.evaluation import classifier
from dcgan_tf.evaluation.classifier import build_classifier, fit_classifier, load_or_train_classifier
from dcgan_tf.evaluation.classifier_files import (
    Facts,
    load_classifier,
    restore_training,
    save_classifier,
    save_training,
)
from dcgan_tf.models.weights import digest_of_weights
from tests.evaluation.conftest import draw

STEPS = 7


class Interrupted(Exception):
    """Stands in for the end of the process."""


def train(checkpoint=None, stop_before=None):
    """Returns the digest of the weights after two short epochs; raises Interrupted before the step `stop_before`."""
    labels = np.arange(160) % 2
    images = np.stack([draw(label, number, side=12)[:, :, None] for number, label in enumerate(labels)])
    network = build_classifier((12, 12, 1), 2)
    batches = iter(range(STEPS))

    def read(rows):
        if next(batches) == stop_before:
            raise Interrupted
        return images[rows]

    fit_classifier(network, read, labels, steps=STEPS, description="fit", checkpoint=checkpoint)
    return digest_of_weights(network)


@pytest.fixture(scope="module")
def uninterrupted():
    return train()


@pytest.mark.parametrize(("stop_before", "saved"), [(5, 4), (1, 0)])
def test_an_interrupted_training_continues_bit_for_bit(uninterrupted, tmp_path, monkeypatch, said, stop_before, saved):
    monkeypatch.setattr(classifier, "SAVE_EVERY", 2)
    checkpoint = tmp_path / ".training-a.npz"
    with pytest.raises(Interrupted):
        train(checkpoint, stop_before)
    assert checkpoint.exists() == bool(saved)
    assert train(checkpoint) == uninterrupted
    assert (f"Continuing after {saved} of {STEPS} steps." in said.messages) == bool(saved)


def test_a_damaged_training_starts_again(tmp_path, said):
    variables = [tf.Variable(np.arange(3.0)), tf.Variable(7)]
    path = tmp_path / ".training-a.npz"
    assert restore_training(variables, path, steps=9) == 0
    save_training(variables, 4, path)
    content, changed = path.read_bytes(), bytearray(path.read_bytes())
    changed[len(content) // 2] ^= 0xFF
    for variable in variables:
        variable.assign(variable + 1)
    for damaged in (bytes(changed), b"", content[:-100]):
        path.write_bytes(damaged)
        assert restore_training(variables, path, steps=9) == 0
        assert "is damaged" in said.messages[-1]
    path.write_bytes(content)
    for others, steps in ((variables[:1], 9), (variables, 4)):
        assert restore_training(others, path, steps) == 0
        assert "it belongs to another training run" in said.messages[-1]
    assert variables[1].numpy() == 8
    assert restore_training(variables, path, steps=9) == 4
    assert variables[1].numpy() == 7


def test_weights_of_another_digest_are_no_start_of_a_training(bars_config, tmp_path, monkeypatch, said):
    started_from = []
    monkeypatch.setattr(
        classifier, "fit_classifier", lambda network, *_, **__: started_from.append(digest_of_weights(network))
    )
    config = dataclasses.replace(bars_config, cache_dir=str(tmp_path))
    load_or_train_classifier(config)
    (path,) = (cache_root(config) / "classifiers").glob("*.npz")
    arrays = files.read_arrays(path)
    arrays["weight_000"] += 1  # An undamaged file with other weights
    files.write_arrays(path, **arrays)
    load_or_train_classifier(config)
    assert "its digest differs" in said.text
    assert started_from[0] == started_from[1]


def test_files_of_earlier_releases_are_read(tmp_path):
    """They do not say on which images the accuracy was measured, so it is measured again."""
    network = build_classifier((12, 12, 1), 2)
    save_classifier(network, Facts(0.5, "2 images of test", "d"), tmp_path / "a.npz")
    arrays = files.read_arrays(tmp_path / "a.npz")
    del arrays["tested_digest"]
    files.write_arrays(tmp_path / "a.npz", **arrays)
    assert load_classifier(network, tmp_path / "a.npz") == Facts(0.5, "2 images of test", "")


def test_small_images_keep_their_network_and_large_ones_cost_little():
    """All metrics so far were measured with these widths for 28x28: other widths would be another recipe."""
    small, large = build_classifier((28, 28, 1), 10), build_classifier((64, 64, 1), 2)
    assert [weight.shape[-1] for weight in small.weights if len(weight.shape) == 4] == [32, 32, 64, 64]
    assert small.get_layer("features").kernel.shape == (7 * 7 * 64, 128)
    assert (classifier.RECIPE, classifier.STEPS) == (2, 3600)
    assert large.get_layer("features").kernel.shape == (8 * 8 * 64, 128)
    # A whole training run at 64x64 needs less than 1.5 times the multiplications of one at 28x28.
    costs = [
        steps
        * sum(
            np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:3])
            for layer in network.layers
            if len(getattr(layer, "kernel", np.zeros(0)).shape) == 4
        )
        for network, steps in ((small, classifier.STEPS), (large, classifier.LARGE_STEPS))
    ]
    assert costs[1] < 1.5 * costs[0]


def test_large_images_without_a_test_split_are_judged_by_some_that_were_held_out(tmp_path, monkeypatch):
    monkeypatch.setattr(classifier, "LARGE_STEPS", 1)
    for label, name in enumerate(("across", "down")):
        (tmp_path / "large" / name).mkdir(parents=True)
        for number in range(30):
            Image.fromarray(draw(label, number, side=40)).save(tmp_path / "large" / name / f"{number}.png")
    config = dataclasses.replace(
        Config(), dataset="folder", data_dir=str(tmp_path / "large"), image_size="40", channels="1", batch_size=2,
        cache_dir=str(tmp_path),
    )  # fmt: skip
    trained, tested = [], []
    monkeypatch.setattr(classifier, "fit_classifier", lambda _, read, labels, **__: trained.append((read, labels)))
    answers = classifier.right_answers
    monkeypatch.setattr(
        classifier, "right_answers", lambda network, *images: tested.append(images) or answers(network, *images)
    )
    found = load_or_train_classifier(config)
    assert found.accuracy_split == "6 images of train, held out of its training"
    ((read, labels),) = trained
    ((data, test_rows),) = tested
    everything, trained_on = data.read(np.arange(60)), read(np.arange(54))
    assert len(labels) == 54
    same = (trained_on[:, None] == everything[None]).all((2, 3, 4))
    np.testing.assert_array_equal(np.flatnonzero(~same.any(0)), test_rows)  # Every image is in one of the two.
    np.testing.assert_array_equal(labels, data.labels[same.argmax(1)])
