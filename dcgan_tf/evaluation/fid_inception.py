"""Inception v3 as it was trained in 2015, whose features give FID, from the weights file of pytorch-fid."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from dcgan_tf.errors import UserError

EPSILON = 1e-3
FEATURES = 2048
AVERAGE, MAXIMUM, HALVE = "average", "maximum", "halve"
# A suffix such as "/2" is the stride of a layer without padding. The results of a pair are concatenated.
Layer = str | tuple[str, str]
STEM: Sequence[Layer] = (
    "Conv2d_1a_3x3/2", "Conv2d_2a_3x3/1", "Conv2d_2b_3x3", HALVE, "Conv2d_3b_1x1", "Conv2d_4a_3x3/1", HALVE,
)  # fmt: skip
_A: Sequence[Sequence[Layer]] = (
    ("branch1x1",),
    ("branch5x5_1", "branch5x5_2"),
    ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
    (AVERAGE, "branch_pool"),
)
_B: Sequence[Sequence[Layer]] = (
    ("branch3x3/2",),
    ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3/2"),
    (HALVE,),
)
_C: Sequence[Sequence[Layer]] = (
    ("branch1x1",),
    ("branch7x7_1", "branch7x7_2", "branch7x7_3"),
    ("branch7x7dbl_1", "branch7x7dbl_2", "branch7x7dbl_3", "branch7x7dbl_4", "branch7x7dbl_5"),
    (AVERAGE, "branch_pool"),
)
_D: Sequence[Sequence[Layer]] = (
    ("branch3x3_1", "branch3x3_2/2"),
    ("branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4/2"),
    (HALVE,),
)


def _e(pool: str) -> Sequence[Sequence[Layer]]:
    return (
        ("branch1x1",),
        ("branch3x3_1", ("branch3x3_2a", "branch3x3_2b")),
        ("branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")),
        (pool, "branch_pool"),
    )


# The last block of the 2015 network takes the maximum where later versions take the average.
BLOCKS = {
    "Mixed_5b": _A, "Mixed_5c": _A, "Mixed_5d": _A, "Mixed_6a": _B, "Mixed_6b": _C, "Mixed_6c": _C, "Mixed_6d": _C,
    "Mixed_6e": _C, "Mixed_7a": _D, "Mixed_7b": _e(AVERAGE), "Mixed_7c": _e(MAXIMUM),
}  # fmt: skip


def build_fid_inception(weights: dict[str, np.ndarray]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Builds the network from the tensors of pytorch-fid's file.

    Args:
        weights: The tensors by name, such as ``Conv2d_1a_3x3.conv.weight``.

    Returns:
        A function from images float32 [N, 299, 299, 3], scaled to -1..1, to features float32 [N, 2048].

    Raises:
        UserError: The tensors are those of another network.
    """
    try:
        layers = {name: _folded(weights, name) for name in _names()}
    except (KeyError, ValueError) as error:
        raise UserError(f"expected the weights of the 2015 Inception v3, as pytorch-fid names them: {error}") from None

    def apply(x: tf.Tensor, layer: Layer, prefix: str) -> tf.Tensor:
        if isinstance(layer, tuple):
            return tf.concat([apply(x, each, prefix) for each in layer], -1)
        if layer == HALVE:
            return tf.nn.max_pool2d(x, 3, 2, "VALID")
        if layer in (AVERAGE, MAXIMUM):
            pool = tf.nn.avg_pool2d if layer == AVERAGE else tf.nn.max_pool2d
            return pool(x, 3, 1, "SAME")  # TensorFlow's averages leave out the padding, as those of this network do.
        name, _, strides = layer.partition("/")
        kernel, bias = layers[prefix + name]
        return tf.nn.relu(tf.nn.conv2d(x, kernel, int(strides or 1), "VALID" if strides else "SAME") + bias)

    def network(x: tf.Tensor) -> tf.Tensor:
        for layer in STEM:
            x = apply(x, layer, "")
        for block, branches in BLOCKS.items():
            results = []
            for branch in branches:
                y = x
                for layer in branch:
                    y = apply(y, layer, f"{block}.")
                results.append(y)
            x = tf.concat(results, -1)
        return tf.reduce_mean(x, [1, 2])

    return network


def _names() -> list[str]:
    """The convolutions by their names in the file."""
    branches = [("", STEM), *((f"{block}.", branch) for block, branches in BLOCKS.items() for branch in branches)]
    layers = [(prefix, layer) for prefix, branch in branches for layer in branch]
    flat = [(prefix, each) for prefix, layer in layers for each in ((layer,) if isinstance(layer, str) else layer)]
    return [prefix + layer.partition("/")[0] for prefix, layer in flat if layer not in (AVERAGE, MAXIMUM, HALVE)]


def _folded(weights: dict[str, np.ndarray], name: str) -> tuple[tf.Tensor, tf.Tensor]:
    """The kernel and the bias of a convolution, into which the batch normalization after it is folded.

    They are tensors, because a graph would hold a copy of each array.
    """
    kernel = weights[f"{name}.conv.weight"].astype(np.float64)
    gamma, beta, mean, variance = (
        weights[f"{name}.bn.{each}"].astype(np.float64) for each in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    folded = np.transpose(kernel, (2, 3, 1, 0)) * scale
    return tf.constant(folded, tf.float32), tf.constant(beta - mean * scale, tf.float32)
