"""Distances to neighbours, in blocks, so that memory does not grow with the product of two sets."""

from typing import NamedTuple

import numpy as np
from sklearn.metrics import pairwise_distances_chunked
from sklearn.neighbors import NearestNeighbors

BLOCK_MIB = 64
# A ball's radius is the distance of a sample that may be counted itself: rounding shall not leave it out.
ROUNDING = 1e-6


class BallHits(NamedTuple):
    """Which samples lie in which balls.

    Attributes:
        of_sample: int [samples], in how many balls each sample lies.
        of_ball: int [balls], how many samples lie in each ball.
    """

    of_sample: np.ndarray
    of_ball: np.ndarray


def neighbor_radii(features: np.ndarray, neighbor: int) -> np.ndarray:
    """Distance float [samples] of each sample to its k-th nearest other one; features float [samples, features]."""
    search = NearestNeighbors(n_neighbors=neighbor, algorithm="brute").fit(features)
    distances, _ = search.kneighbors()  # Of the fitted samples themselves, each without itself.
    return distances[:, -1]


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


def count_ball_hits(samples: np.ndarray, centers: np.ndarray, radii: np.ndarray) -> BallHits:
    """Counts samples float [samples, features] in closed balls of radii [balls] around centers [balls, features]."""
    of_sample, of_ball = [], np.zeros(len(centers), np.int64)
    for distances in pairwise_distances_chunked(samples, centers, working_memory=BLOCK_MIB):
        inside = distances <= radii * (1 + ROUNDING)
        of_sample.append(inside.sum(1))
        of_ball += inside.sum(0)
    return BallHits(np.concatenate(of_sample), of_ball)
