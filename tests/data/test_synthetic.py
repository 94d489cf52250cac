"""Stacked MNIST, and points drawn from mixtures of Gaussians."""

import numpy as np
import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.data.batches import make_batches
from dcgan_tf.data.points import MIXTURES, POINTS
from dcgan_tf.data.prepare import prepare
from dcgan_tf.data.sources import find_source
from dcgan_tf.drawing.scatter import draw_scatter
from dcgan_tf.errors import UserError
from tests.conftest import one_line


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_points_are_around_their_centers(name, modes):
    config, data = prepare(make_config({"dataset": name}))
    mixture = MIXTURES[name]
    assert (data.images.shape, len(data.class_names)) == ((POINTS, 2), modes)
    offsets = (data.images - mixture.centers[data.labels]) / mixture.deviation
    assert np.abs(offsets.mean(axis=0)).max() < 0.02
    np.testing.assert_allclose(offsets.std(axis=0), 1, atol=0.02)
    counts = np.bincount(data.labels)
    assert len(counts) == modes
    assert counts.min() > 0.9 * POINTS / modes
    nearest = np.linalg.norm(data.images[:1000, None] - mixture.centers, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, data.labels[:1000])
    assert config.class_names == data.class_names


def test_geometry_of_the_papers():
    np.testing.assert_allclose(np.linalg.norm(MIXTURES["ring"].centers, axis=1), 1)
    np.testing.assert_allclose(MIXTURES["ring"].centers[1], [np.sqrt(0.5)] * 2)
    assert sorted(set(MIXTURES["grid"].centers[:, 0])) == [-4, -2, 0, 2, 4]


def test_points_are_always_the_same_and_make_batches():
    config, data = prepare(make_config({"dataset": "ring", "batch_size": 8, "discriminator_steps": 3}))
    np.testing.assert_array_equal(prepare(config)[1].images, data.images)
    points, labels = next(iter(make_batches(data, config, 5, 6)))
    assert (points.shape, points.dtype, labels.shape) == ((24, 2), "float32", (24,))


def test_points_have_one_split():
    with pytest.raises(UserError, match=r"`split`: ring has only the split train\. Received: 'test'"):
        prepare(make_config({"dataset": "ring", "split": "test"}))


@pytest.fixture(scope="module")
def stacked():
    return prepare(make_config({"dataset": "stacked_mnist", "split": "test[:300]"}))


def test_stacks_are_three_digits_of_mnist_with_their_label(stacked):
    config, data = stacked
    _, mnist = prepare(make_config({"dataset": "mnist", "split": "test"}))
    assert data.images.shape == (300, 28, 28, 3)
    assert (config.channels, config.image_size, len(config.class_names)) == ("3", "28", 1000)
    digits = {image.tobytes(): label for image, label in zip(mnist.images, mnist.labels, strict=True)}
    for stack, label in zip(data.images[:50], data.labels[:50], strict=True):
        found = [digits[np.ascontiguousarray(stack[..., channel]).tobytes()] for channel in range(3)]
        assert found == [label // 100, label // 10 % 10, label % 10]
    assert len(set(data.labels)) > 200


def test_a_longer_split_begins_alike(stacked):
    _, data = stacked
    _, longer = prepare(make_config({"dataset": "stacked_mnist", "split": "test[:400]"}))
    np.testing.assert_array_equal(longer.images[:300], data.images)


def test_splits_of_stacked_mnist():
    assert find_source(make_config({"dataset": "stacked_mnist"})).count() == 128_000
    assert find_source(make_config({"dataset": "stacked_mnist", "split": "test[:26000]"})).count() == 26_000
    for split in ("validation", "train[5:]", "train[:1]", "train[:99999999]"):
        with pytest.raises(UserError, match="`split`: expected train, test, or a number of stacks"):
            find_source(make_config({"dataset": "stacked_mnist", "split": split}))


def test_points_cannot_be_inspected(cli):
    message = one_line(cli("inspect", "--dataset=ring"))
    assert "--dataset=ring consists of points" in message


def test_scatter_shows_each_point_in_its_place():
    picture = draw_scatter(np.array([[4.0, 4.0]], np.float32), "grid").astype(int)
    empty = draw_scatter(np.zeros((0, 2), np.float32), "grid").astype(int)
    rows, columns = np.nonzero(np.abs(picture - empty).sum(axis=2))
    assert 0 < len(rows) < 60
    assert rows.mean() < 100  # At the top right
    assert columns.mean() > 300
