import dataclasses
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf import files
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.classifier import Classifier
from dcgan_tf.evaluation.features import (
    FeatureNetwork,
    cached_features,
    compute_features,
    discriminator_network,
    random_network,
    read_batches,
    stacked_network,
)
from dcgan_tf.models.configured import configured_discriminator


def mean_network(digest="d", calls=None):
    """A network whose only feature is the mean of an image."""

    def function(images):
        if calls is not None:
            calls.append(len(images))
        return tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3])[:, None], None

    return FeatureNetwork("mean", digest, "none", "the mean", function)


def flat_images(values):
    return np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)


def test_features_keep_their_order_over_batches():
    images = flat_images(range(200, 0, -1))
    features = compute_features([mean_network()], iter(np.array_split(images, 7)), 200, "test")["mean"]
    np.testing.assert_allclose(features.values[:, 0], np.arange(200, 0, -1))
    assert features.probabilities is None


def test_cache_is_read_by_the_same_rows_data_and_network_only(tmp_path, said):
    calls, images = [], flat_images(range(10))

    def features(rows, data="data", digest="d"):
        network = mean_network(digest, calls)
        return cached_features(network, lambda r: images[r], np.array(rows), data, tmp_path, "test").values[:, 0]

    np.testing.assert_allclose(features([1, 2, 3]), [1, 2, 3])
    np.testing.assert_allclose(features([1, 2, 3]), [1, 2, 3])
    assert calls == [3]
    np.testing.assert_allclose(features([3, 2, 1]), [3, 2, 1])
    features([1, 2, 3], data="other")
    features([1, 2, 3], digest="e")
    assert calls == [3, 3, 3, 3]

    def damage(path, how):
        whole = path.read_bytes()
        path.write_bytes({"cut off": whole[:50], "empty": b"", "foreign": b"foreign"}.get(how, whole))
        if how == "other arrays":
            np.savez(path, other=np.zeros(3))
        elif how == "other kind":
            np.savez(path, values=np.array("text"))

    for how in ("cut off", "empty", "foreign", "other arrays", "other kind"):
        for path in tmp_path.glob("*.npz"):
            damage(path, how)
        np.testing.assert_allclose(features([1, 2, 3]), [1, 2, 3])
        assert "damaged" in said.text
        said.clear()


@pytest.mark.parametrize("fault", ["no folder", "full"])
def test_cache_that_cannot_be_written_is_one_warning(tmp_path, monkeypatch, said, fault):
    if fault == "full":
        monkeypatch.setattr(np, "savez", lambda *_, **__: files.os.write(files.os.open("/dev/full", 1), b"x"))
    else:
        (tmp_path / "cache").write_text("a file")
    images = flat_images(range(5))
    features = cached_features(mean_network(), lambda r: images[r], np.arange(5), "data", tmp_path / "cache", "test")
    np.testing.assert_allclose(features.values[:, 0], range(5))
    assert len(said.messages) == 1
    assert re.fullmatch(
        r"The cache '.*\.npz' could not be written \(.*\)\. Everything else continues without it", said.messages[0]
    )


def test_features_that_are_not_finite_are_refused():
    broken = dataclasses.replace(mean_network(), function=lambda images: (tf.fill([len(images), 1], np.nan), None))
    with pytest.raises(UserError, match="features of mean for generated images are not finite"):
        compute_features([broken], iter([flat_images([1, 2])]), 2, "generated images")


def test_random_network_is_always_the_same_and_tells_images_apart():
    images = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    first, second = (random_network((20, 24, 3)) for _ in range(2))
    assert first.digest == second.digest
    np.testing.assert_array_equal(first.function(tf.constant(images))[0], second.function(tf.constant(images))[0])
    values = first.function(tf.constant(images))[0].numpy()
    assert values.shape == (3, 128)
    assert np.linalg.norm(values[0] - values[1]) > 0.1 * np.linalg.norm(values[0])


@pytest.mark.parametrize("changes", [{}, {"conditional": True, "class_names": ("a", "b")}, {"architecture": "mlp"}])
def test_discriminator_features_need_no_label(small_config, changes):
    discriminator = configured_discriminator(small_config(**changes), seed=0)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 1), np.uint8)
    features = compute_features([discriminator_network(discriminator)], iter([images]), 5, "x")["discriminator"]
    assert features.values.shape[0] == 5
    assert len(np.unique(features.values, axis=0)) == 5


def test_stacked_network_reads_one_digit_a_channel():
    image = keras.Input((4, 4, 1), dtype="uint8")
    # A classifier for which a flat image of gray level 10 d shows the digit d.
    level = tf.keras.layers.Lambda(lambda x: tf.reduce_mean(tf.cast(x, tf.float32), axis=[1, 2, 3])[:, None] / 10)(
        image
    )
    logits = tf.keras.layers.Lambda(lambda x: -100.0 * tf.abs(x - tf.range(10, dtype=tf.float32)))(level)
    network = tf.keras.Model(image, {"features": level, "logits": logits})
    stacked = stacked_network(Classifier("mnist-classifier", network, "d", 1.0, "test"), (4, 4, 3))
    pixels = np.array([[10, 20, 30], [90, 0, 50]], np.uint8)[:, None, None, :] * np.ones((1, 4, 4, 1), np.uint8)
    values, probabilities = stacked.function(tf.constant(pixels))
    np.testing.assert_allclose(values, [[1, 2, 3], [9, 0, 5]])
    np.testing.assert_array_equal(np.argmax(probabilities, 1), [123, 905])
    assert stacked.counts_modes


def test_batches_cover_the_rows_in_order():
    rows = np.arange(1000)[::-1]
    parts = list(read_batches(lambda part: part, rows))
    assert len(parts) > 1
    np.testing.assert_array_equal(np.concatenate(parts), rows)
