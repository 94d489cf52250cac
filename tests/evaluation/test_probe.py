import numpy as np
import pytest
import tensorflow as tf
from sklearn.svm import LinearSVC

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.probe import (
    LabeledImages,
    LinearSVM,
    max_pool_to_grid,
    nearest_neighbor_accuracy,
    pooled_features,
    probe,
    raw_pixels,
)
from dcgan_tf.models.configured import configured_discriminator
from tests.evaluation.conftest import draw


def labeled(first, count):
    labels = np.arange(count) % 2
    images = np.stack([draw(label, first + number)[:, :, None] for number, label in enumerate(labels)])
    return LabeledImages(lambda rows: images[rows], labels)


def test_pooling_by_hand():
    maps = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
    np.testing.assert_array_equal(max_pool_to_grid(tf.constant(maps))[0, :, :, 0], maps[0, 1::2, 1::2, 0])
    small = tf.constant(maps[:, :2, :3])
    assert max_pool_to_grid(small) is small


def test_every_pixel_is_in_a_cell_where_the_side_is_no_multiple():
    for y in range(7):
        maps = np.zeros((1, 7, 14, 1), np.float32)
        maps[0, y, 2 * y] = 1
        pooled = max_pool_to_grid(tf.constant(maps))
        assert pooled.shape == (1, 4, 4, 1)
        assert tf.reduce_max(pooled) == 1


def test_pooled_features_are_all_convolutional_layers(small_config):
    function = pooled_features(configured_discriminator(small_config(discriminator_filters="8"), seed=0))
    # 16x16: maps of 8x8 with 8 filters and of 4x4 with 16.
    assert function(np.zeros((3, 16, 16, 1), np.uint8)).shape == (3, 16 * (8 + 16))
    with pytest.raises(UserError, match="no convolutional layers"):
        pooled_features(configured_discriminator(small_config(architecture="mlp"), seed=0))


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_machine_is_scikit_learns(penalty):
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 300)
    features = (random.normal(size=(300, 6)) + 1.5 * np.eye(4, 6)[labels]).astype(np.float32)
    ours = LinearSVM(penalty).fit(features, labels, 4).weights
    theirs = LinearSVC(C=penalty, dual=False, tol=1e-8).fit(features, labels)
    np.testing.assert_allclose(ours[:-1], theirs.coef_.T, atol=2e-3)
    np.testing.assert_allclose(ours[-1], theirs.intercept_, atol=2e-3)


def test_probe_draws_labels_and_gives_an_interval():
    result = probe("pixels", raw_pixels, labeled(0, 300), labeled(5000, 100), 2, labels_per_class=20, draws=4)
    assert result.n_train == 40
    assert result.draws == 4
    assert result.accuracy > 0.8
    assert 0 < result.interval < 0.2
    everything = probe("pixels", raw_pixels, labeled(0, 300), labeled(5000, 100), 2)
    assert (everything.n_train, everything.interval) == (300, None)
    assert everything.accuracy >= result.accuracy


def test_a_feature_that_lives_in_test_images_only_drowns_no_other():
    random = np.random.default_rng(0)
    labels = np.arange(400) % 2
    features = random.normal(size=(400, 9)).astype(np.float32)
    features[:, 0] += 3 * labels
    features[:200, 8] = 1e-9 * random.normal(size=200)
    train, test = (LabeledImages(lambda rows, part=part: features[part][rows], labels[:200]) for part in
                   (slice(0, 200), slice(200, 400)))  # fmt: skip
    assert probe("alive", lambda images: images, train, test, 2).accuracy > 0.9


def test_more_labels_than_images():
    with pytest.raises(UserError, match=r"`labels_per_class`: expected at least 11 .* each class. Received: 10"):
        probe("pixels", raw_pixels, labeled(0, 20), labeled(0, 20), 2, labels_per_class=11)


def test_nearest_neighbor_by_hand():
    train = np.array([[[[0]]], [[[100]]]], np.uint8)
    test = LabeledImages(
        lambda rows: np.array([[[[10]]], [[[90]]], [[[95]]], [[[5]]]], np.uint8)[rows], np.array([0, 1, 0, 0])
    )
    assert nearest_neighbor_accuracy(train, np.array([0, 1]), test).value == 0.75
