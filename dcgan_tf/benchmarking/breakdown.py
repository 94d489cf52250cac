"""The time of each part of a train step, from the differences between steps that stop after each part."""

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
LAZY = "penalty, averaged over the steps"
AROUND = "input, loop and Python"


def measure_breakdown(
    gan: GAN,
    data: ImageData | PointData,
    whole_step: Callable[[], object],
    whole_steps: int,
    repeats: int,
    seconds: float,
) -> dict[str, float]:
    """Measures the milliseconds of each part of a step.

    Args:
        gan: The networks. Their weights change, but not as in training.
        data: The data from which a batch is taken.
        whole_step: Trains as a run does, including the input and the return to Python.
        whole_steps: Number of train steps in one call of ``whole_step``.
        repeats: Number of rounds, as in `measure_by_turns`.
        seconds: Minimum time per measurement, as in `measure_by_turns`.

    Returns:
        Part -> median over the rounds. Negative differences, which noise can cause, count as 0.
    """
    images, labels = next(iter(make_batches(data, gan.config, 0, 1)))
    calls: dict[str, Callable[[], object]] = {
        part: functools.partial(
            _call, tf.function(functools.partial(run_until, gan, part), autograph=False), images, labels
        )
        for part in PARTS
    }
    if gan.config.penalty_every > 1:
        calls[LAZY] = functools.partial(_call, tf.function(gan.train_step, autograph=False), images, labels)
    times = measure_by_turns(
        calls | {AROUND: whole_step}, repeats, seconds, "parts of a step", gan.config.penalty_every
    )
    times[AROUND] = [value / whole_steps for value in times[AROUND]]
    before = [0.0] * repeats
    parts = {}
    for part, values in times.items():
        differences = [1000 * (value - less) for value, less in zip(values, before, strict=True)]
        parts[part] = max(0.0, statistics.median(differences))
        before = values
    return parts


def run_until(gan: GAN, last: str, images: tf.Tensor, labels: tf.Tensor) -> Any:
    """Runs a train step up to the named part, without a penalty that is due only every few steps.

    Returns:
        The result of that part. A graph leaves out everything that the result does not need.
    """
    with gan.tracing(has_lazy_penalty=False):
        return next(result for part, result in gan.step_parts(images, labels) if part == last)


def _call(function: Callable[..., Any], images: tf.Tensor, labels: tf.Tensor) -> None:
    results = tf.nest.flatten(function(images, labels))
    results[-1][..., :1].numpy() if results[-1].shape.rank else results[-1].numpy()
