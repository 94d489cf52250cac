import numpy as np
import pytest

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import memorization
from dcgan_tf.evaluation.memorization import distance_ratio, images_to_search, nearest_training_images


def images(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 1), np.uint8)


def test_planted_copies_are_found_whatever_the_block(monkeypatch):
    training = images(0, 100)
    generated = np.concatenate([training[[97, 3]], images(1, 4)])
    monkeypatch.setattr(memorization, "BLOCK", 30)
    found = nearest_training_images(generated, lambda rows: training[rows], np.arange(100), 3, "test")
    assert found.rows[:2, 0].tolist() == [97, 3]
    np.testing.assert_allclose(found.distances[:2, 0], 0, atol=1e-3)
    flat = generated.reshape(6, 1, -1) / 255 - training.reshape(1, 100, -1) / 255
    brute = np.sqrt((flat**2).sum(-1))
    np.testing.assert_array_equal(found.rows, np.argsort(brute, axis=1)[:, :3])
    np.testing.assert_allclose(found.distances, np.sort(brute, axis=1)[:, :3], atol=1e-3)


def test_rows_may_be_a_part_of_the_training_images():
    training = images(0, 100)
    rows = np.arange(0, 100, 7)
    found = nearest_training_images(training[[14, 15]], lambda r: training[r], rows, 1, "test")
    assert found.rows[0, 0] == 14
    assert found.rows[1, 0] in rows
    assert found.distances[1, 0] > 0.5


@pytest.mark.parametrize("mirrored", [False, True])
def test_mirrored_copies_are_found_if_training_mirrors(mirrored):
    training = images(0, 100)
    copies = training[[14, 21], :, ::-1]
    read, rows = images_to_search(lambda rows: training[rows], np.arange(0, 100, 7), 100, mirrored=mirrored)
    found = nearest_training_images(copies, read, rows, 2, "test")
    if mirrored:
        assert found.rows[:, 0].tolist() == [114, 121]
        np.testing.assert_array_equal(read(found.rows[:, 0]), copies)
        np.testing.assert_array_equal(read(np.array([14, 21])), training[[14, 21]])
    assert (found.distances[:, 0] < 1e-3).all() == mirrored


def test_ratio_of_copies_is_zero_and_of_like_images_one():
    training = images(0, 300)
    distances = [
        nearest_training_images(x, lambda rows: training[rows], np.arange(300), 1, "test").distances[:, 0]
        for x in (training[:50], images(1, 200), images(2, 200))
    ]
    assert distance_ratio(distances[0], distances[1]).value == pytest.approx(0, abs=1e-3)
    like = distance_ratio(distances[2], distances[1])
    assert abs(like.value - 1) < 4 * like.standard_error
    assert like.standard_error < 0.05


def test_ratio_to_held_out_copies_is_refused():
    generated = np.linspace(1, 2, 100)
    # The search finds a copy at a distance of a rounding error.
    for copies in (1.0, 0.6, 0.5):
        held_out = np.where(np.arange(100) < 100 * copies, 1e-6, 1.5)
        with pytest.raises(UserError, match="half of the held-out images are copies of training images"):
            distance_ratio(generated, held_out)
    assert distance_ratio(generated, np.where(np.arange(100) < 30, 1e-6, 1.5)).value == pytest.approx(1)
    with pytest.raises(UserError, match=r"at least 10 images\. Received: 9"):
        distance_ratio(generated, generated[:9])


def test_error_of_the_ratio_does_not_depend_on_the_order():
    # Ten kinds of images that take turns: a block of every tenth image would hold only one kind.
    kinds = 1 + np.arange(1000) % 10 + np.random.default_rng(0).random(1000)
    shuffled = np.random.default_rng(1).permutation(kinds)
    by_turns, mixed = (distance_ratio(each, each).standard_error for each in (kinds, shuffled))
    assert by_turns == pytest.approx(mixed, rel=0.5)
