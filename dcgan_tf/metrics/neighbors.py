"""Distances to neighbours, in blocks, so that memory does not grow with the product of two sets."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

from dcgan_tf.metrics.arrays import random_order

BLOCK_MIB = 64
# A ball's radius is the distance of a sample that may be counted itself: rounding shall not leave it out.
ROUNDING = 1e-6
HALVINGS = 20
# Of the nearest samples, half are in a sample's own half: among so many more than twice as many, enough surely are.
SPARE_NEIGHBORS = 50


class BallHits(NamedTuple):
    """Which samples lie in which balls: in row 0 all samples and all balls; in each other row, the sets are halved at
    random, and samples and balls of the same half are compared, with the radii that the balls have in it.

    Attributes:
        of_sample: int [1 + halvings, samples], in how many balls each sample lies.
        of_ball: int [1 + halvings, balls], how many samples lie in each ball.
        sample_halves: bool [halvings, samples], which half each sample is in.
        ball_halves: bool [halvings, balls], which half each ball is in.
    """

    of_sample: np.ndarray
    of_ball: np.ndarray
    sample_halves: np.ndarray
    ball_halves: np.ndarray


def nearest(samples: np.ndarray, references: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The nearest references of each sample.

    Args:
        samples, references: float [.., features].
        count: how many.

    Returns:
        Distances float [samples, count], ascending, and the references' numbers int [samples, count].
    """
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(references)
    return search.kneighbors(samples)


def count_ball_hits(samples: np.ndarray, centers: np.ndarray, neighbor: int) -> BallHits:
    """Counts samples in closed balls around centers.

    Args:
        samples: float [samples, features].
        centers: float [balls, features].
        neighbor: a ball reaches to this nearest other center.
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
    """Distance of each sample to its k-th nearest other one.

    Args:
        features: float [samples, features].
        neighbor: k.
        halves: bool [halvings, samples], which half each sample is in.

    Returns:
        float [1 + halvings, samples]: among all samples; then, for each halving, among those of its own half.
    """
    count = min(len(features) - 1, 2 * neighbor + SPARE_NEIGHBORS)
    search = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(features)
    distances, rows = search.kneighbors()  # Of the fitted samples themselves, each without itself.
    radii = [distances[:, neighbor - 1]]
    for half in halves:
        nearer_in_half = np.cumsum(half[rows] == half[:, None], axis=1) < neighbor
        place = np.minimum(nearer_in_half.sum(1), count - 1)
        radii.append(distances[np.arange(len(features)), place])
    return np.stack(radii)


def random_halves(count: int, key: int) -> np.ndarray:
    """Cuts samples in two, give or take one: bool [halvings, count], always the same for a count and a key."""
    return np.stack([random_order(count, key + 2 * number) < count // 2 for number in range(HALVINGS)])


def halving_error(values: np.ndarray, halves: np.ndarray) -> float:
    """Standard error of a mean that depends on the neighbours among its own samples.

    The figures of two halves are independent, so half of their difference has, in the square, half the variance of
    one of them: that of a figure of all samples. A new draw would move the samples and the balls alike; the deviation
    of the values over fixed balls misses the latter (it is 0.6 to 0.8 of the real one), and as a neighbour's distance
    is no smooth function, a jackknife comes out at up to twice the real one, and a bootstrap, which draws samples
    twice, is of no use.

    Args:
        values: float [halvings, N], each computed in its own half.
        halves: bool [halvings, N], which one that is.
    """
    differences = [value[half].mean() - value[~half].mean() for value, half in zip(values, halves, strict=True)]
    return float(np.sqrt(np.mean(np.square(differences))) / 2)
