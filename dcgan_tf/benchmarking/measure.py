"""The measurements of ``python -m dcgan_tf benchmark``."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import progress
from dcgan_tf.benchmarking import machine
from dcgan_tf.benchmarking.breakdown import measure_breakdown
from dcgan_tf.benchmarking.timing import measure_by_turns, summarize
from dcgan_tf.benchmarking.workload import open_workload
from dcgan_tf.config.combinations import refuse_bad_combinations
from dcgan_tf.config.sections.length import MAX_STEPS
from dcgan_tf.config.settings import Config
from dcgan_tf.data.batches import make_batches
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData
from dcgan_tf.data.processes import core_count
from dcgan_tf.generation.sampling import generate
from dcgan_tf.models import costs
from dcgan_tf.training.devices import read_scalars, settle_precision
from dcgan_tf.training.gan import GAN

# More steps than a benchmark ever runs.
SAMPLED_IMAGES = 256
PROFILED_CALLS = 2


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure, and how often.

    Attributes:
        repeats: Number of rounds. The median over the rounds is reported.
        seconds: Minimum time of each measurement in a round.
        synthetic: Whether to use noise instead of the data set.
        variants: Fields of `Config` to switch, one at a time, for comparison.
        breakdown: Whether to measure the parts of a step, too.
        profile: Folder for a trace; empty for none.
    """

    repeats: int = 5
    seconds: float = 1.0
    synthetic: bool = True
    variants: tuple[str, ...] = ()
    breakdown: bool = False
    profile: str = ""


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """The results of a benchmark.

    Attributes:
        config: The complete settings.
        protocol: Where and how it was measured, in words and numbers.
        figures: Name of the metric, with its unit -> median, or the only value.
        rounds: Name of the metric -> its values, for each metric that was measured repeatedly.
        variants: Field that was switched -> metrics.
        breakdown: Part of a step -> milliseconds.
    """

    config: Config
    protocol: dict[str, Any]
    figures: dict[str, float]
    rounds: dict[str, list[float]]
    variants: dict[str, dict[str, float]]
    breakdown: dict[str, float]


def run_benchmark(config: Config, options: Options) -> Benchmark:
    """Measures a configuration on this machine.

    Args:
        config: Validated settings. Values that are ``auto`` are determined here.
        options: What to measure.

    Raises:
        UserError: The data is not available, or the settings contradict each other.
    """
    tf.config.experimental.enable_op_determinism()  # As in training
    config = settle_precision(config)
    with open_workload(config, synthetic=options.synthetic) as (config, data):
        progress.logger.info("Compiling the train step ...")
        gan = GAN(config)
        batches = endless_batches(data, config)
        train(gan, batches, 1)
        figures: dict[str, float] = {"time_to_first_step_seconds": machine.seconds_since_process_start()}
        figures |= _memory_of_training(gan, batches)

        calls, units = _calls(gan, data, batches)
        seconds = measure_by_turns(calls, options.repeats, options.seconds, "measuring", config.penalty_every)
        rounds = _figures_of_rounds(seconds, units, config)
        flops = costs.step_flops(gan.generator, gan.discriminator, config)
        rounds |= _rates(rounds, flops, seconds["matrix product"], units["matrix product"])
        figures |= {"flops_per_step": flops} | {name: summarize(values)[0] for name, values in rounds.items()}
        variants = {name: _measure_variant(name, gan, batches, data, options) for name in options.variants}
        breakdown = (
            measure_breakdown(gan, data, calls["train step"], config.steps_per_call, options.repeats, options.seconds)
            if options.breakdown
            else {}
        )
        if options.profile:
            _write_trace(gan, batches, options.profile)
    return Benchmark(config, _protocol(config, data, options), figures, rounds, variants, breakdown)


def train(gan: GAN, batches: Any, steps: int) -> None:
    """Runs train steps in one call, and reads their scalars as the training loop does."""
    metrics, _ = gan.train_steps(batches, tf.constant(steps))
    read_scalars(metrics)


def bare_step(gan: GAN, data: ImageData | PointData) -> Callable[[], object]:
    """The train step alone, without a loop in the graph, always on the same batch, which is already on the device."""
    images, labels = next(iter(make_batches(data, gan.config, 0, 1)))
    step = tf.function(gan.train_step, jit_compile=gan.config.jit_compile)
    return lambda: float(step(images, labels)[0]["loss/generator"])


def endless_batches(data: ImageData | PointData, config: Config) -> Any:
    """Returns an endless iterator over training batches."""
    return iter(make_batches(data, config, 0, MAX_STEPS))


def _memory_of_training(gan: GAN, batches: Any) -> dict[str, float]:
    """The peak memory after a few steps, before anything else is measured in this process."""
    train(gan, batches, gan.config.steps_per_call)
    figures: dict[str, float] = {"peak_memory_bytes": machine.peak_memory_bytes()}
    device = machine.device_peak_memory_bytes()
    return figures if device is None else figures | {"device_peak_memory_bytes": device}


def _calls(
    gan: GAN, data: ImageData | PointData, batches: Any
) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    """The calls to time in turn, and how many steps, images or operations each call performs."""
    config = gan.config
    source = iter(make_batches(data, config, 0, MAX_STEPS))
    seeds = np.arange(SAMPLED_IMAGES)
    labels = seeds % config.label_count if config.conditional else None
    multiply, operations = machine.matrix_product("bfloat16" if config.mixed_precision else "float32")
    calls: dict[str, Callable[[], object]] = {
        "train step": functools.partial(train, gan, batches, config.steps_per_call),
        "one step per call": functools.partial(train, gan, batches, 1),
        "bare step": bare_step(gan, data),
        "matrix product": multiply,
        "input": lambda: next(source),
        "sampling": lambda: generate(gan.ema_generator, seeds, labels),
    }
    units: dict[str, float] = {
        "train step": config.steps_per_call,
        "matrix product": operations,
        "input": config.batch_size * config.discriminator_steps,
        "sampling": SAMPLED_IMAGES,
    }
    return calls, units


def _figures_of_rounds(
    seconds: dict[str, list[float]], units: dict[str, float], config: Config
) -> dict[str, list[float]]:
    step = [value / units["train step"] for value in seconds["train step"]]
    return {
        "train_step_ms": [1000 * value for value in step],
        "images_per_second": [config.batch_size / value for value in step],
        "one_step_per_call_ms": [1000 * value for value in seconds["one step per call"]],
        "bare_step_ms": [1000 * value for value in seconds["bare step"]],
        "around_the_bare_step_share": [
            value / bare - 1 for value, bare in zip(step, seconds["bare step"], strict=True)
        ],
        "input_images_per_second": [units["input"] / value for value in seconds["input"]],
        "sampling_images_per_second": [units["sampling"] / value for value in seconds["sampling"]],
    }


def _rates(
    rounds: dict[str, list[float]], flops: int, product_seconds: list[float], product_flops: float
) -> dict[str, list[float]]:
    reached = [1000 * flops / milliseconds for milliseconds in rounds["train_step_ms"]]
    possible = [product_flops / seconds for seconds in product_seconds]
    return {
        "train_step_flops_per_second": reached,
        "matmul_flops_per_second": possible,
        "share_of_matmul_rate": [one / other for one, other in zip(reached, possible, strict=True)],
    }


def _measure_variant(
    name: str, gan: GAN, batches: Any, data: ImageData | PointData, options: Options
) -> dict[str, float]:
    """Measures the train step with one setting switched, in turn with the step as configured."""
    switched: dict[str, Any] = {name: not getattr(gan.config, name)}
    config = dataclasses.replace(gan.config, **switched)
    refuse_bad_combinations(config)
    progress.logger.info(f"Compiling the train step with `{name}={getattr(config, name)}` ...")
    other, other_batches = GAN(config), endless_batches(data, config)
    start = time.perf_counter()
    train(other, other_batches, 1)
    first_call_seconds = time.perf_counter() - start
    steps = config.steps_per_call
    calls: dict[str, Callable[[], object]] = {
        "plain": functools.partial(train, gan, batches, steps),
        "variant": functools.partial(train, other, other_batches, steps),
    }
    multiply, operations = machine.matrix_product("bfloat16" if config.mixed_precision else "float32")
    seconds = measure_by_turns(
        calls | {"product": multiply}, options.repeats, options.seconds, name, config.penalty_every
    )
    milliseconds = [1000 * value / steps for value in seconds["variant"]]
    flops = costs.step_flops(gan.generator, gan.discriminator, config)
    shares = [
        1000 * flops / step * product / operations
        for step, product in zip(milliseconds, seconds["product"], strict=True)
    ]
    speed_ups = [plain / variant for plain, variant in zip(seconds["plain"], seconds["variant"], strict=True)]
    return {
        "train_step_ms": summarize(milliseconds)[0],
        "images_per_second": 1000 * config.batch_size / summarize(milliseconds)[0],
        "speed_up": summarize(speed_ups)[0],
        "first_call_seconds": first_call_seconds,
        "matmul_flops_per_second": operations / summarize(seconds["product"])[0],
        "share_of_matmul_rate": summarize(shares)[0],
    }


def _write_trace(gan: GAN, batches: Any, folder: str) -> None:
    progress.logger.info(f"Writing a trace of {PROFILED_CALLS} calls to {folder} ...")
    with tf.profiler.experimental.Profile(folder):
        for call in range(PROFILED_CALLS):
            with tf.profiler.experimental.Trace("train", step_num=call, _r=1):
                train(gan, batches, gan.config.steps_per_call)


def _protocol(config: Config, data: ImageData | PointData, options: Options) -> dict[str, Any]:
    return {
        "device": machine.describe_device(),
        "cpu_cores": core_count(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "one_dnn": machine.one_dnn(),
        "data": data.source,
        "images": len(data.images),
        "repeats": options.repeats,
        "seconds_per_repeat": options.seconds,
        "batch_size": config.batch_size,
        "steps_per_call": config.steps_per_call,
        "jit_compile": config.jit_compile,
        "mixed_precision": config.mixed_precision,
    }
