import dataclasses
import time

import numpy as np
import pytest

from dcgan_tf.config import make_config
from dcgan_tf.data.batches import BatchOrder, make_batches
from dcgan_tf.data.prepare import prepare


@pytest.fixture(scope="module")
def data():
    return prepare(make_config({"split": "train[:100]"}))[1]


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
    straight = [batch.numpy() for batch in make_batches(data, 16, seed=1, first=0, stop=20)]
    resumed = [batch.numpy() for batch in make_batches(data, 16, seed=1, first=13, stop=20)]
    assert len(straight) == 20
    np.testing.assert_array_equal(straight[13:], resumed)


def test_batches_hold_the_images_of_their_rows(data):
    batch = next(iter(make_batches(data, 16, seed=1, first=4, stop=5)))
    np.testing.assert_array_equal(batch, data.images[BatchOrder(100, 16, 1).rows(4)])
    assert batch.dtype == "uint8"


def test_order_of_a_million_images_is_a_permutation():
    order = BatchOrder(count=1_000_000, batch_size=1000, seed=0)
    rows = np.concatenate([order.rows(number) for number in range(1000)])
    assert np.array_equal(np.sort(rows), np.arange(1_000_000))


def test_pipeline_is_fast():
    """The default run takes some 1,400 images a second on two cores; this asks for a floor well above it."""
    data = dataclasses.replace(prepare(make_config({}))[1])
    batches = iter(make_batches(data, 64, seed=0, first=0, stop=1100))
    for _ in range(100):
        next(batches)
    start = time.perf_counter()
    for _ in range(1000):
        next(batches)
    assert 64_000 / (time.perf_counter() - start) > 20_000
