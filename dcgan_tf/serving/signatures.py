"""What an exported model answers: named signatures, batchable row by row, for TensorFlow Serving."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_tf.generation.networks import Networks
from dcgan_tf.generation.sampling import latents_from_seeds, slerp
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.discriminator import build_outputs
from dcgan_tf.models.pixels import to_float, to_samples

# More rows than this are refused: a single request shall not exhaust a server's memory.
MAXIMUM_ROWS = 1024

Outputs = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Signature:
    """One signature.

    Attributes:
        name: by which a client asks for it.
        function: from the inputs, in the order of ``inputs``, to the named outputs.
        inputs: specification of each input; all share their first dimension, the rows.
        make_example: arrays of valid inputs, of as many rows as asked for.
    """

    name: str
    function: Callable[..., Outputs]
    inputs: tuple[tf.TensorSpec, ...]
    make_example: Callable[[int], dict[str, np.ndarray]]


def build_signatures(networks: Networks) -> list[Signature]:
    """The signatures of a trained pair.

    serving_default: z float32 [N, latent_dim] -> images uint8 [N, height, width, channels].
    sample: seed int64 [N], psi float32 [N] -> images, z. The same seed gives the same image, whatever else is in the
        batch. psi scales the latent: 1 as in training, towards 0 more typical and less varied.
    sample_png: seed -> image_bytes string [N], PNG files.
    interpolate: seed_from int64 [N], seed_to int64 [N], t float32 [N] -> images; t from 0 to 1, spherically.
    discriminate: images uint8 -> logits float32 [N], probability [N] of being real, features [N, F].

    Of a run on points, images are ``points`` float32 [N, 2], and there is no sample_png. A discriminator that judges
    several images at once (``pack``) is left out. A conditional pair takes one more input with each, label int64 [N],
    and refuses one out of range.

    The generator is the one with averaged weights; both networks are float32 and in inference mode.
    """
    config, generator = networks.config, networks.generator
    outputs = build_outputs(networks.discriminator)
    # Of points, whose name in the signatures is points, too.
    images_key = "points" if config.draws_points else "images"
    images_type = tf.float32 if config.draws_points else tf.uint8

    def images_of(z: tf.Tensor, label: tf.Tensor | None) -> tf.Tensor:
        return to_samples(generator(with_labels(z, label), training=False))

    def serving_default(z: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        z, label = checked(z, label)
        return {images_key: images_of(z, label)}

    def sample(seed: tf.Tensor, psi: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        seed, psi, label = checked(seed, psi, label)
        z = psi[:, None] * latents_from_seeds(seed, config.latent_dim)
        return {images_key: images_of(z, label), "z": z}

    def sample_png(seed: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        seed, label = checked(seed, label)
        images = images_of(latents_from_seeds(seed, config.latent_dim), label)
        return {"image_bytes": tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)}

    def interpolate(seed_from: tf.Tensor, seed_to: tf.Tensor, t: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        seed_from, seed_to, t, label = checked(seed_from, seed_to, t, label)
        first, last = (latents_from_seeds(seeds, config.latent_dim) for seeds in (seed_from, seed_to))
        return {images_key: images_of(slerp(first, last, t), label)}

    def discriminate(images: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        images, label = checked(images, label)
        return outputs(with_labels(to_float(images), label), training=False)

    def checked(*inputs: tf.Tensor | None) -> list[Any]:
        return _checked(inputs, config.label_count)

    def seeds(rows: int) -> np.ndarray:
        return np.arange(rows, dtype=np.int64)

    def numbers(rows: int) -> np.ndarray:
        return np.linspace(0.2, 1, rows, dtype=np.float32)

    def spec(name: str, dtype: tf.DType, *shape: int) -> tf.TensorSpec:
        return tf.TensorSpec([None, *shape], dtype, name=name)

    def some_images(rows: int) -> np.ndarray:
        return (
            np.random.default_rng(0).integers(0, 256, (rows, *config.sample_shape)).astype(images_type.as_numpy_dtype)
        )

    def some_latents(rows: int) -> np.ndarray:
        return np.random.default_rng(0).normal(size=(rows, config.latent_dim)).astype(np.float32)

    signatures = [
        Signature(
            "serving_default",
            serving_default,
            (spec("z", tf.float32, config.latent_dim),),
            lambda rows: {"z": some_latents(rows)},
        ),
        Signature(
            "sample",
            sample,
            (spec("seed", tf.int64), spec("psi", tf.float32)),
            lambda rows: {"seed": seeds(rows), "psi": numbers(rows)},
        ),
        Signature("sample_png", sample_png, (spec("seed", tf.int64),), lambda rows: {"seed": seeds(rows)}),
        Signature(
            "interpolate",
            interpolate,
            (spec("seed_from", tf.int64), spec("seed_to", tf.int64), spec("t", tf.float32)),
            lambda rows: {"seed_from": seeds(rows), "seed_to": seeds(rows) + 1, "t": numbers(rows)},
        ),
        Signature(
            "discriminate",
            discriminate,
            (spec(images_key, images_type, *config.sample_shape),),
            lambda rows: {images_key: some_images(rows)},
        ),
    ]
    # Points make no PNG, and a packed discriminator does not judge one image.
    left_out = {"sample_png": config.draws_points, "discriminate": config.pack > 1}
    signatures = [signature for signature in signatures if not left_out.get(signature.name)]
    if not config.conditional:
        return signatures
    return [_with_label(signature, config.label_count) for signature in signatures]


def _with_label(signature: Signature, label_count: int) -> Signature:
    return dataclasses.replace(
        signature,
        inputs=(*signature.inputs, tf.TensorSpec([None], tf.int64, name="label")),
        make_example=lambda rows: (
            signature.make_example(rows) | {"label": np.arange(rows, dtype=np.int64) % label_count}
        ),
    )


def _checked(inputs: Sequence[tf.Tensor | None], label_count: int) -> list[Any]:
    """The inputs, the label last, after a check in the graph: as many rows in each, not too many, labels in range.

    Nor does a server's session compare the shape of a row with the signature's: 49 images of 8x8 pixels would pass for
    four of 28x28. Their static shape is known here, so only the number of values can still be asked for in the graph.
    """
    first, *others = present = [tensor for tensor in inputs if tensor is not None]
    rows = tf.shape(first)[0]
    checks = [
        tf.debugging.assert_positive(rows, message="expected at least one row"),
        tf.debugging.assert_less_equal(
            rows, MAXIMUM_ROWS, message=f"expected at most {MAXIMUM_ROWS} rows in one request: send several"
        ),
        *(
            tf.debugging.assert_equal(tf.shape(other)[0], rows, message="expected as many rows in every input")
            for other in others
        ),
        *(
            tf.debugging.assert_equal(
                tf.size(tensor),
                rows * math.prod(tensor.shape[1:]),
                message=f"expected the shape [rows{''.join(f', {length}' for length in tensor.shape[1:])}]",
            )
            for tensor in present
        ),
    ]
    label = inputs[-1]
    if label is not None:
        in_range = tf.logical_and(label >= 0, label < label_count)
        checks.append(tf.debugging.Assert(tf.reduce_all(in_range), [f"expected a label from 0 to {label_count - 1}"]))
    with tf.control_dependencies([check for check in checks if check is not None]):
        return [None if tensor is None else tf.identity(tensor) for tensor in inputs]
