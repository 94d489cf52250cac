"""The signatures of an exported model. TensorFlow Serving can batch their rows."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dcgan_tf.config.settings import Config
from dcgan_tf.generation.networks import Networks
from dcgan_tf.generation.sampling import latents_from_seeds, slerp
from dcgan_tf.models.conditioning import with_labels
from dcgan_tf.models.discriminator import build_outputs
from dcgan_tf.models.pixels import to_float, to_samples

# Requests with more rows are refused, so that a single request cannot exhaust a server's memory.
MAX_ROWS = 1024

Outputs = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Signature:
    """One signature.

    Attributes:
        name: Name by which clients call the signature.
        function: Computes the named outputs from the inputs, in the order of ``inputs``.
        inputs: Specification of each input. All share the first dimension, the rows.
        make_example: Makes arrays of valid inputs with a given number of rows.
    """

    name: str
    function: Callable[..., Outputs]
    inputs: tuple[tf.TensorSpec, ...]
    make_example: Callable[[int], dict[str, np.ndarray]]


def build_signatures(networks: Networks) -> list[Signature]:
    """The signatures of a trained generator and discriminator.

    serving_default: z float32 [N, latent_dim] -> images uint8 [N, height, width, channels].
    sample: seed int64 [N], psi float32 [N] -> images, z. The same seed gives the same image, whatever else is in the
        batch. psi scales the latents. 1: as in training. Lower values give more typical, less diverse images.
    sample_png: seed -> image_bytes string [N], PNG files.
    interpolate: seed_from int64 [N], seed_to int64 [N], t float32 [N] -> images; t from 0 to 1, along a great
        circle.
    discriminate: images uint8 -> logits float32 [N], probability [N] of being real, features [N, F].

    For a run on points, images are replaced by ``points`` float32 [N, 2], and there is no sample_png. A discriminator
    that judges several images at once (``pack``) is left out. The signatures of a conditional model have an additional
    input, label int64 [N], and refuse labels that are out of range.

    The generator has the averaged weights. Both networks are float32 and in inference mode.
    """
    config, answers = networks.config, _Answers(networks)
    images_type = tf.float32 if config.draws_points else tf.uint8

    def some_images(rows: int) -> dict[str, np.ndarray]:
        levels = np.random.default_rng(0).integers(0, 256, (rows, *config.sample_shape))
        return {_images_key(config): levels.astype(images_type.as_numpy_dtype)}

    def some_latents(rows: int) -> dict[str, np.ndarray]:
        return {"z": np.random.default_rng(0).normal(size=(rows, config.latent_dim)).astype(np.float32)}

    signatures = [
        Signature(
            "serving_default", answers.serving_default, (_spec("z", tf.float32, config.latent_dim),), some_latents
        ),
        Signature(
            "sample",
            answers.sample,
            (_spec("seed", tf.int64), _spec("psi", tf.float32)),
            lambda rows: {"seed": _seeds(rows), "psi": _fractions(rows)},
        ),
        Signature("sample_png", answers.sample_png, (_spec("seed", tf.int64),), lambda rows: {"seed": _seeds(rows)}),
        Signature(
            "interpolate",
            answers.interpolate,
            (_spec("seed_from", tf.int64), _spec("seed_to", tf.int64), _spec("t", tf.float32)),
            lambda rows: {"seed_from": _seeds(rows), "seed_to": _seeds(rows) + 1, "t": _fractions(rows)},
        ),
        Signature(
            "discriminate",
            answers.discriminate,
            (_spec(_images_key(config), images_type, *config.sample_shape),),
            some_images,
        ),
    ]
    # There are no PNG files of points, and a discriminator with `pack` does not judge single images.
    left_out = {"sample_png": config.draws_points, "discriminate": config.pack > 1}
    signatures = [signature for signature in signatures if not left_out.get(signature.name)]
    if not config.conditional:
        return signatures
    return [_with_label(signature, config.label_count) for signature in signatures]


class _Answers:
    """The computation of each signature, from its inputs and, for conditional networks, a label."""

    def __init__(self, networks: Networks) -> None:
        self._config = networks.config
        self._generator = networks.generator
        self._outputs = build_outputs(networks.discriminator)

    def serving_default(self, z: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        z, label = self._checked(z, label)
        return self._named(self._images(z, label))

    def sample(self, seed: tf.Tensor, psi: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        seed, psi, label = self._checked(seed, psi, label)
        z = psi[:, None] * self._latents(seed)
        return self._named(self._images(z, label)) | {"z": z}

    def sample_png(self, seed: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        seed, label = self._checked(seed, label)
        images = self._images(self._latents(seed), label)
        return {"image_bytes": tf.map_fn(tf.io.encode_png, images, fn_output_signature=tf.string)}

    def interpolate(
        self, seed_from: tf.Tensor, seed_to: tf.Tensor, t: tf.Tensor, label: tf.Tensor | None = None
    ) -> Outputs:
        seed_from, seed_to, t, label = self._checked(seed_from, seed_to, t, label)
        z = slerp(self._latents(seed_from), self._latents(seed_to), t)
        return self._named(self._images(z, label))

    def discriminate(self, images: tf.Tensor, label: tf.Tensor | None = None) -> Outputs:
        images, label = self._checked(images, label)
        return self._outputs(with_labels(to_float(images), label), training=False)

    def _images(self, z: tf.Tensor, label: tf.Tensor | None) -> tf.Tensor:
        return to_samples(self._generator(with_labels(z, label), training=False))

    def _latents(self, seeds: tf.Tensor) -> tf.Tensor:
        return latents_from_seeds(seeds, self._config.latent_dim)

    def _named(self, images: tf.Tensor) -> Outputs:
        return {_images_key(self._config): images}

    def _checked(self, *inputs: tf.Tensor | None) -> list[Any]:
        return _checked(inputs, self._config.label_count)


def _images_key(config: Config) -> str:
    return "points" if config.draws_points else "images"


def _spec(name: str, dtype: tf.DType, *shape: int) -> tf.TensorSpec:
    return tf.TensorSpec([None, *shape], dtype, name=name)


def _seeds(rows: int) -> np.ndarray:
    return np.arange(rows, dtype=np.int64)


def _fractions(rows: int) -> np.ndarray:
    return np.linspace(0.2, 1, rows, dtype=np.float32)


def _with_label(signature: Signature, label_count: int) -> Signature:
    return dataclasses.replace(
        signature,
        inputs=(*signature.inputs, tf.TensorSpec([None], tf.int64, name="label")),
        make_example=lambda rows: (
            signature.make_example(rows) | {"label": np.arange(rows, dtype=np.int64) % label_count}
        ),
    )


def _checked(inputs: Sequence[tf.Tensor | None], label_count: int) -> list[Any]:
    """Returns the inputs, label last, after checking their row counts, their shapes and the labels in the graph.

    A server's session does not compare the shape of a row with the signature: 49 images of 8x8 pixels would pass as
    four of 28x28. The static shape is fixed here, so the graph can only check the number of values.
    """
    first, *others = present = [tensor for tensor in inputs if tensor is not None]
    rows = tf.shape(first)[0]
    checks = [
        tf.debugging.assert_positive(rows, message="expected at least one row"),
        tf.debugging.assert_less_equal(
            rows, MAX_ROWS, message=f"expected at most {MAX_ROWS} rows in one request: send several requests"
        ),
        *(
            tf.debugging.assert_equal(
                tf.shape(other)[0], rows, message="expected the same number of rows in every input"
            )
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
