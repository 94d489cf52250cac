"""Where the time of a train step goes: the step is run up to each of its parts, and the differences are the parts."""

import functools
import statistics
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dcgan_tf.benchmarking.timing import measure_by_turns
from dcgan_tf.data.batches import make_batches
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData
from dcgan_tf.training.gan import GAN

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
        part: functools.partial(
            _call, tf.function(functools.partial(run_until, gan, part), autograph=False), images, labels
        )
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
    """A train step up to the part named.

    Returns:
        What that part computes; a graph leaves out whatever nobody asks for.
    """
    return next(result for part, result in gan.step_parts(images, labels) if part == last)


def _call(function: Callable[..., Any], images: tf.Tensor, labels: tf.Tensor) -> None:
    results = tf.nest.flatten(function(images, labels))
    results[-1][..., :1].numpy() if results[-1].shape.rank else results[-1].numpy()
