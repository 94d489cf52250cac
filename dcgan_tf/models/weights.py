"""Operations on all weights of a network: digest, copying from another network, freezing."""

import dataclasses
import hashlib
import re

import keras
import numpy as np

from dcgan_tf.errors import UserError

BLOCK = re.compile(r"(block|hidden)_(\d+)(?=_|/|$)")


@dataclasses.dataclass(frozen=True)
class CopiedWeights:
    """Which weights of a network were copied from another one.

    Attributes:
        copied: Paths of the copied weights, such as ``block_1/kernel``.
        left: Paths of the others, each with its shape and its shape in the other network (None if it is missing there).
    """

    copied: list[str]
    left: dict[str, tuple[tuple[int, ...], tuple[int, ...] | None]]


def digest_of_weights(network: keras.Model) -> str:
    """A digest of the weights alone, which does not depend on the file they were read from."""
    digest = hashlib.sha256()
    for array in network.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def copy_weights(source: keras.Model, target: keras.Model) -> CopiedWeights:
    """Copies every weight whose shape fits, layer by layer.

    If the networks have different numbers of blocks, the blocks are matched starting at the image.

    Args:
        source: A generator or a discriminator, built by this package.
        target: A network of the same kind and architecture.

    Returns:
        What was copied and what was not.
    """
    # Blocks are numbered from the image in a discriminator, and toward the image in a generator.
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
    """The number of numbered hidden layers: convolution blocks, or the layers of a fully connected network."""
    return max((block_number(layer.name) for layer in network.layers), default=0)


def block_number(name: str) -> int:
    """The number of the block that a layer or weight belongs to, starting at 1; 0 if it is in no block."""
    match = BLOCK.match(name)
    return int(match[2]) if match else 0


def freeze_blocks(discriminator: keras.Model, count: int) -> None:
    """Freezes the weights of the first blocks, counted from the image (Mo et al. 2020, arXiv 2002.10964).

    BatchNorm in them still uses the statistics of each batch and still updates their averages.

    Args:
        discriminator: The network to freeze in part.
        count: Number of blocks to freeze.

    Raises:
        UserError: The discriminator has fewer blocks.
    """
    depth = count_blocks(discriminator)
    if count > depth:
        raise UserError(
            f"`freeze_discriminator`: expected at most {depth}, the number of blocks of this discriminator. "
            f"Received: {count}",
            field="freeze_discriminator",
        )
    for layer in discriminator.layers:
        if 1 <= block_number(layer.name) <= count:
            layer.trainable = False


def _is_transposed(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.layers.Conv2DTranspose)


def _name_in_layer(weight: keras.Variable) -> str:
    return weight.path.rpartition("/")[2]
