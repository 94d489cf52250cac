"""Distances to neighbors, computed in blocks so that memory does not grow with the product of two set sizes."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from dcgan_tf.metrics.arrays import random_order

BLOCK_MIB = 64
# A ball's radius is the distance of a sample that may be counted itself. This margin keeps rounding from excluding it.
ROUNDING = 1e-6
HALVINGS = 20
# About half of a sample's nearest neighbors are in its own half, so 2 * neighbor of them, plus this many, are enough.
SPARE_NEIGHBORS = 50


class BallHits(NamedTuple):
    """How many samples lie in which balls.

    Row 0 counts all samples and all balls. For each other row, both sets are split into random halves, and only samples
    and balls of the same half are compared. The balls then have the radii that they have within their half.

    Attributes:
        of_sample: int [1 + halvings, samples], number of balls that contain each sample.
        of_ball: int [1 + halvings, balls], number of samples in each ball.
        sample_halves: bool [halvings, samples], which half each sample is in.
        ball_halves: bool [halvings, balls], which half each ball is in.
    """

    of_sample: np.ndarray
    of_ball: np.ndarray
    sample_halves: np.ndarray
    ball_halves: np.ndarray


def nearest(samples: np.ndarray, references: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest references of each sample.

    Args:
        samples, references: float [.., features].
        count: Number of references per sample.

    Returns:
        Distances float [samples, count], ascending, and numbers of the references int [samples, count].
    """
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(references)
    return search.kneighbors(samples)


def count_ball_hits(samples: np.ndarray, centers: np.ndarray, neighbor: int) -> BallHits:
    """Counts the samples in closed balls around centers.

    Args:
        samples: float [samples, features].
        centers: float [balls, features].
        neighbor: Each ball reaches to its center's k-th nearest other center; this is k.
    """
    sample_halves, ball_halves = random_halves(len(samples), key=0), random_halves(len(centers), key=1)
    radii = neighbor_radii(centers, neighbor, ball_halves) * (1 + ROUNDING)
    largest = radii.max(0)
    of_ball = np.zeros((1 + HALVINGS, len(centers)), np.int64)
    parts = []
    first = 0
    for distances in pairwise_distances_chunked(samples, centers, working_memory=BLOCK_MIB):
        halves = sample_halves[:, first : first + len(distances)]
        first += len(distances)
        rows, balls = np.nonzero(distances <= largest)
        near = distances[rows, balls]
        of_sample = np.zeros((1 + HALVINGS, len(distances)), np.int64)
        for number in range(1 + HALVINGS):
            inside = near <= radii[number, balls]
            if number:
                inside &= halves[number - 1, rows] == ball_halves[number - 1, balls]
            of_sample[number] = np.bincount(rows[inside], minlength=len(distances))
            of_ball[number] += np.bincount(balls[inside], minlength=len(centers))
        parts.append(of_sample)
    return BallHits(np.concatenate(parts, axis=1), of_ball, sample_halves, ball_halves)


def neighbor_radii(features: np.ndarray, neighbor: int, halves: np.ndarray) -> np.ndarray:
    """The distance of each sample to its k-th nearest other sample.

    Args:
        features: float [samples, features].
        neighbor: k.
        halves: bool [halvings, samples], which half each sample is in.

    Returns:
        float [1 + halvings, samples], among all samples, and then for each halving among those of its own half.
    """
    count = min(len(features) - 1, 2 * neighbor + SPARE_NEIGHBORS)
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(features)
    distances, rows = search.kneighbors()  # Neighbors of the fitted samples, each without itself
    radii = [distances[:, neighbor - 1]]
    for half in halves:
        nearer_in_half = np.cumsum(half[rows] == half[:, None], axis=1) < neighbor
        place = np.minimum(nearer_in_half.sum(1), count - 1)
        radii.append(distances[np.arange(len(features)), place])
    return np.stack(radii)


def random_halves(count: int, key: int) -> np.ndarray:
    """Random halves of samples: bool [halvings, count], which depend only on the count and the key."""
    return np.stack([random_order(count, key + 2 * number) < count // 2 for number in range(HALVINGS)])


def halving_error(values: np.ndarray, halves: np.ndarray) -> float:
    """The standard error of a mean over values that depend on neighbors among the samples.

    The samples are split at random into two halves, several times. The means over the two halves are independent, and
    each has twice the variance of the mean over all samples. So their difference has four times that variance. The
    standard error is therefore half the root mean square of the differences.

    Simpler methods fail, because other samples would also have other neighbors, and so other balls around them. An
    error computed with fixed balls is only 0.6 to 0.8 of the true standard error. A jackknife gives up to twice the
    true error, because the distance to a neighbor is not a smooth function. A bootstrap does not work at all, because
    it draws some samples more than once.

    Args:
        values: float [halvings, N], each value computed within its own half.
        halves: bool [halvings, N], which half that is.
    """
    differences = [value[half].mean() - value[~half].mean() for value, half in zip(values, halves, strict=True)]
    return float(np.sqrt(np.mean(np.square(differences))) / 2)
