"""Images passed in by a program: an array, or a tf.data.Dataset."""

import re

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.data.arrays import open_array, open_dataset
from dcgan_tf.data.shards import Shard
from dcgan_tf.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 20, 3), np.uint8)
LABELS = np.array([2, 0, 1, 1, 0])


def read(source, shards):
    """The pixels and labels of all pictures in the given shards."""
    work = lambda _, pictures: [(np.asarray(picture.load()), picture.label) for picture in pictures]  # noqa: E731
    return [pair for part in source.map_shards(work, shards) for pair in part]


def sources(images=IMAGES, labels=LABELS):
    dataset = tf.data.Dataset.from_tensor_slices(images if labels is None else (images, labels))
    return [open_array(images, labels), open_dataset(dataset), open_dataset(dataset.batch(2))]


@pytest.mark.parametrize("number", range(3), ids=["array", "dataset", "batched"])
def test_source_gives_back_images_and_labels(number):
    source = sources()[number]
    assert (source.height, source.width, source.channels, source.count()) == (16, 20, 3, 5)
    assert source.class_names == ("0", "1", "2")
    pairs = read(source, [Shard(1, 3), Shard(4, 5)])  # Finished shards are skipped.
    for (image, label), row in zip(pairs, [1, 2, 4], strict=True):
        np.testing.assert_array_equal(image, IMAGES[row])
        assert label == LABELS[row]


def test_gray_images_without_labels():
    source = open_array(IMAGES[..., :1])
    assert source.class_names == ()
    ((image, label),) = read(source, [Shard(0, 1)])
    np.testing.assert_array_equal(image, IMAGES[0, :, :, 0])
    assert label == -1


def test_fingerprint_follows_the_contents_whatever_the_container():
    array, dataset, batched = sources()
    assert array.fingerprint != open_array(IMAGES).fingerprint
    changed = IMAGES.copy()
    changed[4, 15, 19, 2] ^= 1
    assert array.fingerprint != open_array(changed, LABELS).fingerprint
    assert dataset.fingerprint == batched.fingerprint


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (IMAGES.astype(np.float32), None, "Received: float32 [5, 16, 20, 3]. Scale them to 0..255"),
        (IMAGES[..., 0], None, "Received: uint8 [5, 16, 20]. Add the axis of the channels"),
        (IMAGES[..., :2], None, "with 1, 3 or 4 channels"),
        (IMAGES[:0], None, "Received: uint8 [0, 16, 20, 3]"),
        (IMAGES, LABELS[:4], "expected 5 labels, one per image, that are whole numbers from 0. Received: int64 [4]"),
        (IMAGES, LABELS - 1, "whole numbers from 0"),
        (IMAGES, LABELS.astype(float), "Received: float64 [5]"),
    ],
)
def test_other_arrays_are_rejected(images, labels, expected):
    with pytest.raises(UserError, match=re.escape(expected)):
        open_array(images, labels)


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (lambda: tf.data.Dataset.from_tensor_slices(IMAGES / 255), "as element 0: float64 [16, 20, 3]"),
        (lambda: tf.data.Dataset.from_tensor_slices(IMAGES).take(0), "Received an empty one"),
        (lambda: tf.data.Dataset.range(3), "as element 0: int64 []"),
    ],
)
def test_other_datasets_are_rejected(dataset, expected):
    with pytest.raises(UserError, match=re.escape(expected)):
        open_dataset(dataset())
