"""The features, images and weights for which the answers of the other tools are known. NumPy only."""

import numpy as np

SUBSETS, SUBSET_SIZE, SEED = 5, 25, 2020
SIZES = {"small": (20, 24), "large": (310, 330), "same": (299, 299)}
# Which of the 2,048 features of an image are compared.
COMPARED = slice(0, 2048, 64)


def feature_sets():
    """Pairs (real, generated): plain, fewer samples than features, singular covariances, and float32 far from 0."""
    random = np.random.default_rng(0)

    def draw(count, features, shift):
        mixed = random.normal(size=(count, features)) @ (random.normal(size=(features, features)) / np.sqrt(features))
        return mixed + shift

    singular = [draw(300, 12, 0), draw(250, 12, 0.5)]
    for features in singular:
        features[:, 3] = 7
        features[:, 5] = features[:, 4]
    return {
        "plain": (draw(600, 16, 0), draw(500, 16, 0.3)),
        "fewer samples than features": (draw(60, 96, 0), draw(70, 96, 0.5)),
        "singular": tuple(singular),
        "float32": tuple(draw(400, 24, 0.4 * shift + 3).astype(np.float32) for shift in (0, 1)),
    }


def logits():
    """Logits [500, 10] of a classifier that is sure of most samples."""
    random = np.random.default_rng(1)
    return (3 * random.normal(size=(500, 10)) + 4 * np.eye(10)[random.integers(0, 10, 500)]).astype(np.float32)


def images():
    """Images uint8 [height, width, 3] of several sizes."""
    random = np.random.default_rng(2)
    return {name: random.integers(0, 256, (*size, 3), np.uint8) for name, size in SIZES.items()}


def inception_tensor(name, shape):
    """A random tensor for a name in pytorch-fid's file, scaled so that signals keep their size from layer to layer."""
    random = np.random.default_rng(np.frombuffer(name.encode(), np.uint8))
    if name.endswith("conv.weight"):
        return random.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if name.endswith("running_var"):
        return (0.5 + random.random(shape)).astype(np.float32)
    start = 1 if name.endswith("bn.weight") else 0
    return (start + 0.1 * random.standard_normal(shape)).astype(np.float32)
