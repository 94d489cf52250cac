import dataclasses
import os
import pathlib
import re

import numpy as np
import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.data.batches import BatchOrder, augment, make_batches
from dcgan_tf.data.prepare import ImageData, prepare
from dcgan_tf.data.shards import HEADER_BYTES, write_header

CONFIG = make_config({"split": "train[:100]", "batch_size": 16, "seed": 1, "image_size": "28", "channels": "1"})


@pytest.fixture(scope="module")
def data():
    return prepare(CONFIG)[1]


def test_every_image_once_an_epoch():
    order = BatchOrder(count=100, batch_size=16, seed=3)
    rows = np.concatenate([order.rows(number) for number in range(25)])  # 400 rows: four epochs
    epochs = rows.reshape(4, 100)
    for epoch in epochs:
        assert sorted(epoch) == list(range(100))
    assert not np.array_equal(epochs[0], epochs[1])


def test_batch_is_a_function_of_seed_and_number():
    orders = [BatchOrder(100, 16, seed) for seed in (3, 3, 4)]
    expected = orders[0].rows(17)
    for number in (900, 0, 17):
        again = orders[1].rows(number)
    np.testing.assert_array_equal(again, expected)
    assert not np.array_equal(orders[2].rows(17), expected)


def test_batch_larger_than_two_epochs():
    rows = BatchOrder(count=5, batch_size=12, seed=0).rows(0)
    assert sorted(rows[:5]) == sorted(rows[5:10]) == list(range(5))


def test_first_order_is_shuffled():
    assert not np.array_equal(BatchOrder(100, 100, 0).rows(0), np.arange(100))


def test_batches_resume_at_any_step(data):
    straight = [images.numpy() for images, _ in make_batches(data, CONFIG, first=0, stop=20)]
    resumed = [images.numpy() for images, _ in make_batches(data, CONFIG, first=13, stop=20)]
    assert len(straight) == 20
    np.testing.assert_array_equal(straight[13:], resumed)


def test_batches_hold_the_images_of_their_rows(data):
    images, labels = next(iter(make_batches(data, CONFIG, first=4, stop=5)))
    rows = BatchOrder(100, 16, 1).rows(4)
    np.testing.assert_array_equal(images, data.images[rows])
    np.testing.assert_array_equal(labels, data.labels[rows])
    assert images.dtype == "uint8"


def test_memory_does_not_follow_the_data(tmp_path):
    """Reading 120 MB of images in random order keeps few of their pages in this process's memory."""
    count = 120_000_000 // 784
    write_header(tmp_path / "images.npy", (count, 28, 28, 1))
    os.truncate(tmp_path / "images.npy", HEADER_BYTES + 784 * count)
    images = np.load(tmp_path / "images.npy", mmap_mode="r")
    data = ImageData(
        images, np.zeros(count, np.int64), (), "s", 0, "", tmp_path, open(tmp_path / "images.npy", "rb", buffering=0)
    )
    config = dataclasses.replace(CONFIG, batch_size=1000)

    def mapped_megabytes():
        status = pathlib.Path("/proc/self/status").read_text()
        return int(re.search(r"RssFile:\s+(\d+) kB", status).group(1)) / 1000

    before = mapped_megabytes()
    largest = max(mapped_megabytes() for _ in make_batches(data, config, 0, count // 1000))
    assert largest - before < 20


@pytest.fixture
def gradients():
    """36x36 images whose pixels hold their own position: the row in channel 0, the column in channel 1."""
    rows, columns = np.mgrid[:36, :36].astype(np.uint8)
    return np.broadcast_to(np.stack([rows, columns, 0 * rows], axis=-1), (200, 36, 36, 3))


def test_random_crop_and_flip_are_windows_of_the_image(gradients):
    config = dataclasses.replace(CONFIG, image_size="32", crop="random", flip=True)
    cut = augment(gradients, config, batch_number=3).astype(int)
    assert cut.shape == (200, 32, 32, 3)
    steps_down, steps_right = np.diff(cut[..., 0], axis=1), np.diff(cut[..., 1], axis=2)
    assert np.all(steps_down == 1)
    mirrored = steps_right[:, 0, 0] == -1
    assert np.all(steps_right[mirrored] == -1)
    assert np.all(steps_right[~mirrored] == 1)
    assert 60 < mirrored.sum() < 140
    assert set(cut[:, 0, 0, 0]) == set(range(5))  # Every offset occurs, including the last one.


def test_augmentation_is_a_function_of_seed_and_step(gradients):
    config = dataclasses.replace(CONFIG, image_size="32", crop="random", flip=True)
    first = augment(gradients, config, 3)
    np.testing.assert_array_equal(augment(gradients, config, 3), first)
    assert not np.array_equal(augment(gradients, config, 4), first)
    assert not np.array_equal(augment(gradients, dataclasses.replace(config, seed=2), 3), first)


def test_flip_alone_keeps_the_size(gradients):
    config = dataclasses.replace(CONFIG, image_size="36", flip=True)
    flipped = augment(gradients, config, 0)
    for image, original in zip(flipped, gradients, strict=True):
        assert np.array_equal(image, original) or np.array_equal(image, original[:, ::-1])


def test_order_of_a_million_images_is_a_permutation():
    order = BatchOrder(count=1_000_000, batch_size=1000, seed=0)
    rows = np.concatenate([order.rows(number) for number in range(1000)])
    assert np.array_equal(np.sort(rows), np.arange(1_000_000))
