"""Weights as a whole: their digest, what fits from another network, and what stays as it is."""

import dataclasses
import hashlib
import re

import keras
import numpy as np

from dcgan_tf.errors import UserError

BLOCK = re.compile(r"(block|hidden)_(\d+)(?=_|/|$)")


@dataclasses.dataclass(frozen=True)
class CopiedWeights:
    """Which weights of a network were found in another one.

    Attributes:
        copied: Their paths, such as ``block_1/kernel``.
        left: Those that stay as they were, each with its shape and that in the other network, None where it has none.
    """

    copied: list[str]
    left: dict[str, tuple[tuple[int, ...], tuple[int, ...] | None]]


def digest_of_weights(network: keras.Model) -> str:
    """The same for the same weights, whatever file they came from."""
    digest = hashlib.sha256()
    for array in network.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def copy_weights(source: keras.Model, target: keras.Model) -> CopiedWeights:
    """Copies every weight whose shape fits, by layers; where the numbers of blocks differ, those at the image meet.

    Args:
        source: A generator or a discriminator, built by this package.
        target: One of the same kind and architecture.

    Returns:
        What was copied, and what was not.
    """
    # A discriminator counts its blocks from the image, a generator toward it.
    ahead = count_blocks(source) - count_blocks(target) if target.name == "generator" else 0
    layers = {layer.name: layer for layer in source.layers}
    copied, left = [], {}
    for layer in target.layers:
        name = BLOCK.sub(lambda match: f"{match[1]}_{int(match[2]) + ahead}", layer.name)
        weights = {}
        # Kernels of transposed convolutions have their axes in another order.
        if name in layers and _is_transposed(layers[name]) == _is_transposed(layer):
            weights = {_name_in_layer(weight): weight for weight in layers[name].weights}
        for weight in layer.weights:
            other = weights.get(_name_in_layer(weight))
            if other is not None and tuple(other.shape) == tuple(weight.shape):
                weight.assign(other)
                copied.append(weight.path)
            else:
                left[weight.path] = tuple(weight.shape), None if other is None else tuple(other.shape)
    return CopiedWeights(copied, left)


def count_blocks(network: keras.Model) -> int:
    """Numbered hidden layers: blocks of convolutions, or the layers of a fully connected network."""
    return max((block_number(layer.name) for layer in network.layers), default=0)


def block_number(name: str) -> int:
    """The block that a layer or weight belongs to, from 1; 0 for the ends of a network."""
    match = BLOCK.match(name)
    return int(match[2]) if match else 0


def freeze_blocks(discriminator: keras.Model, count: int) -> None:
    """Keeps the weights of the first blocks, from the image on, from being trained (Mo et al. 2020, arXiv 2002.10964).

    BatchNorm in them goes on to use the statistics of each batch, and to average these.

    Args:
        discriminator: Whose layers to freeze.
        count: Number of blocks.

    Raises:
        UserError: It has fewer blocks.
    """
    depth = count_blocks(discriminator)
    if count > depth:
        raise UserError(
            f"`freeze_discriminator`: expected at most {depth}, the blocks of this discriminator. Received: {count}",
            field="freeze_discriminator",
        )
    for layer in discriminator.layers:
        if 1 <= block_number(layer.name) <= count:
            layer.trainable = False


def _is_transposed(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.Conv2DTranspose)


def _name_in_layer(weight: keras.Variable) -> str:
    return weight.path.rpartition("/")[2]
