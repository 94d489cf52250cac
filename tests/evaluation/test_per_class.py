import dataclasses

import numpy as np
import pytest

from dcgan_tf.evaluation.features import FeatureNetwork, Features
from dcgan_tf.evaluation.figures import FeatureSets
from dcgan_tf.evaluation.per_class import compare_classes, format_classes
from dcgan_tf.metrics.frechet import frechet_distance
from dcgan_tf.metrics.precision_recall import precision_recall

NETWORK = FeatureNetwork("planted", "0", "none", "", None)
EACH = 60


class Side:
    def __init__(self, labels=None, class_names=()):
        self.labels, self.class_names = labels, class_names


def features(seed, shifts, has_probabilities=True):
    """Three features of 60 images per class. The classes are far apart, and each is moved by its own shift."""
    labels = np.repeat(np.arange(len(shifts)), EACH)
    values = np.random.default_rng(seed).normal(size=(len(labels), 3)).astype(np.float32)
    values[:, 0] += 20 * labels + np.array(shifts)[labels]
    return Features(values, np.eye(len(shifts), dtype=np.float32)[labels] if has_probabilities else None), labels


def test_each_class_is_compared_with_itself_and_the_worst_is_named():
    real, labels = features(0, [0, 0, 0])
    fake, _ = features(1, [0, 5, 1])
    training, _ = features(2, [0, 0, 0])
    names = ("cat", "dog", "owl")
    side = Side(labels, names)
    table = compare_classes(FeatureSets(NETWORK, real, fake, training, "test"), side, side, side)
    assert (table.labels, table.worst) == ("the labels of both sides", "dog")
    assert [row.name for row in table.rows] == list(names)
    for number, row in enumerate(table.rows):
        part = slice(EACH * number, EACH * (number + 1))
        assert (row.n_real, row.n_fake) == (EACH, EACH)
        assert row.frechet_distance == frechet_distance(real.values[part], fake.values[part])
        assert row.real_value == frechet_distance(real.values[part], training.values[part])
        assert row.precision == precision_recall(real.values[part], fake.values[part]).precision.value
    assert table.rows[1].frechet_distance == pytest.approx(25, rel=0.2)
    text = format_classes(table)
    assert "Worst: dog (a distance of 2" in text
    # The classes of arrays are named by numbers, and their labels are known all the same.
    numbered = Side(labels, tuple("012"))
    assert (
        compare_classes(FeatureSets(NETWORK, real, fake, None, ""), side, numbered).labels == "the labels of both sides"
    )


def test_without_labels_of_both_sides_the_classifier_sorts_both():
    real, labels = features(0, [0, 0])
    fake, _ = features(1, [0, 0])
    wrong = Side(1 - labels, ("cat", "dog"))  # Not used: the generated images have no labels
    table = compare_classes(FeatureSets(NETWORK, real, fake, None, ""), wrong, Side())
    assert table.labels == "the predictions of planted"
    assert [row.name for row in table.rows] == ["0", "1"]  # The classifier may be of other data than the images.
    named = dataclasses.replace(NETWORK, class_names=("neutral", "smile"))
    table = compare_classes(FeatureSets(named, real, fake, None, ""), wrong, Side())
    assert [row.name for row in table.rows] == ["neutral", "smile"]
    assert all(row.frechet_distance < 1 and row.real_value is None for row in table.rows)
    unknown, _ = features(1, [0, 0], has_probabilities=False)
    assert compare_classes(FeatureSets(NETWORK, real, unknown, None, ""), wrong, Side()) is None


def test_a_class_without_images_is_the_worst_and_few_images_have_no_distance():
    real, labels = features(0, [0, 0, 0])
    fake, _ = features(1, [0, 0, 9])
    kept = np.r_[0:EACH, EACH : EACH + 3, 2 * EACH : 3 * EACH]
    few = Features(fake.values[kept])
    names = ("cat", "dog", "owl")
    table = compare_classes(FeatureSets(NETWORK, real, few, None, ""), Side(labels, names), Side(labels[kept], names))
    dog = table.rows[1]
    assert (dog.n_fake, dog.frechet_distance, dog.precision) == (3, None, None)
    assert (table.worst, table.worst_because) == ("dog", "3 of 123 generated images, and 60 of 180 real ones")
    kept = np.r_[0:EACH, 2 * EACH : 3 * EACH]
    none = Features(fake.values[kept])
    table = compare_classes(FeatureSets(NETWORK, real, none, None, ""), Side(labels, names), Side(labels[kept], names))
    assert (table.worst, table.worst_because) == ("dog", "0 of 120 generated images, and 60 of 180 real ones")


def test_a_small_class_is_not_the_worst_because_it_is_small():
    """Five real images of the second class are far from five others, too."""
    names, few = ("cat", "dog"), np.r_[0:EACH, EACH : EACH + 5]
    sides = []
    for seed, shifts in ((0, [0, 0]), (1, [1, 0]), (2, [0, 0])):
        values, labels = features(seed, shifts)
        sides.append((Features(values.values[few]), Side(labels[few], names)))
    (real, real_side), (fake, fake_side), (training, training_side) = sides
    table = compare_classes(FeatureSets(NETWORK, real, fake, training, ""), real_side, fake_side, training_side)
    cat, dog = table.rows
    assert (table.worst, table.worst_because) == ("cat", "a distance of 1.629, where real images have 0.08033")
    assert dog.frechet_distance > cat.frechet_distance
