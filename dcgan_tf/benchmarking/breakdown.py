"""Where the time of a train step goes: the step is run up to each of its parts, and the differences are the parts."""

import functools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from dcgan_tf.benchmarking.timing import measure_by_turns
from dcgan_tf.data.batches import make_batches
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData
from dcgan_tf.models.pixels import to_float
from dcgan_tf.training.average import update_average
from dcgan_tf.training.gan import FRESH_LATENTS, GAN, LATENTS
from dcgan_tf.training.optimizers import apply_gradients, decay_learning_rates

PARTS = (
    "generator, forward",
    "discriminator, forward",
    "discriminator, backward",
    "discriminator, optimizer",
    "generator's loss, forward",
    "generator's loss, backward",
    "generator, optimizer",
    "moving average",
    "metrics and norms",
)
AROUND = "input, loop and Python"


def measure_breakdown(
    gan: GAN,
    data: ImageData | PointData,
    whole_step: Callable[[], object],
    whole_steps: int,
    repeats: int,
    seconds: float,
) -> dict[str, float]:
    """Milliseconds of each part of a step.

    Args:
        gan: is trained by it, in ways that no run would train it.
        data: to take a batch from.
        whole_step: trains as a run does, with input and return to Python.
        whole_steps: train steps of one such call.
        repeats, seconds: as in `measure_by_turns`.

    Returns:
        Part -> the median over the rounds; what differences of noisy times make negative counts as 0.
    """
    images, labels = next(iter(make_batches(data, gan.config, 0, 1)))
    calls: dict[str, Callable[[], object]] = {
        part: functools.partial(_call, tf.function(functools.partial(run_until, gan, part)), images, labels)
        for part in PARTS[:-1]
    }
    complete = tf.function(gan.train_step)
    calls[PARTS[-1]] = lambda: complete(images, labels)[0]["loss/generator"].numpy()
    times = measure_by_turns(calls | {AROUND: whole_step}, repeats, seconds, "parts of a step")
    times[AROUND] = [value / whole_steps for value in times[AROUND]]
    before = [0.0] * repeats
    parts = {}
    for part, values in times.items():
        differences = [1000 * (value - less) for value, less in zip(values, before, strict=True)]
        parts[part] = max(0.0, statistics.median(differences))
        before = values
    return parts


def run_until(gan: GAN, last: str, images: tf.Tensor, labels: tf.Tensor) -> Any:
    """The part named and all before it, as in `GAN.train_step`, with one update of the discriminator.

    Returns:
        What the last part computes; a graph leaves out whatever nobody asks for.
    """
    steps = _steps(gan, images, labels)
    for part in PARTS:
        result = next(steps)
        if part == last:
            return result
    raise AssertionError(last)


def _steps(gan: GAN, images: tf.Tensor, labels: tf.Tensor) -> Iterator[Any]:
    """Yields after each part but the last."""
    gan._key_dropouts()
    decay_learning_rates(gan.config, gan.step, gan.generator_optimizer, gan.discriminator_optimizer)
    real_images, classes = to_float(images), labels if gan.config.conditional else None
    with tf.GradientTape() as generator_tape:
        fake_images = gan._generate(LATENTS, classes, 0)
        yield fake_images
        with generator_tape.stop_recording():
            with tf.GradientTape() as discriminator_tape:
                loss, _ = gan._discriminator_loss(real_images, fake_images, 0, lambda seen: gan._logits(seen, classes))
            yield loss
            gradients = discriminator_tape.gradient(loss, gan.discriminator.trainable_variables)
            yield gradients
            gan._apply_to_discriminator(gradients)
            yield loss
        if gan.config.fresh_noise:
            fake_images = gan._generate(FRESH_LATENTS, classes, 0)
        loss = gan._generator_loss(real_images, fake_images, classes)
        yield loss
    variables = gan.generator.trainable_variables
    gradients = generator_tape.gradient(loss, variables)
    yield gradients
    apply_gradients(gan.generator_optimizer, gradients, variables)
    yield loss
    update_average(gan.ema_generator, gan.generator, gan.config.ema_decay, gan.step)
    gan.step.assign_add(1)
    yield loss


def _call(function: Callable[..., Any], images: tf.Tensor, labels: tf.Tensor) -> None:
    results = tf.nest.flatten(function(images, labels))
    results[-1][..., :1].numpy() if results[-1].shape.rank else results[-1].numpy()
