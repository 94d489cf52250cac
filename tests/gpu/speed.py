"""The train step of several sizes, in float32, bfloat16 and with XLA, compared with PyTorch's on the same card."""

import contextlib
import json
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import dcgan_tf  # noqa: F401  Settles what TensorFlow reads from the environment

# isort: split
import tensorflow as tf

from dcgan_tf.benchmarking import machine, measure
from dcgan_tf.benchmarking.workload import make_synthetic_data
from dcgan_tf.config.making import make_config
from dcgan_tf.config.settings import Config
from dcgan_tf.models import costs
from dcgan_tf.training.gan import GAN
from tests.conftest import SMALL
from tests.gpu.part import Context
from tests.gpu.torch_side import TorchSide

# As in torch_step.py, where the same sizes have the same names.
SIZES: dict[str, dict[str, Any]] = {
    "default": {"image_size": "28", "channels": "1", "penalty": "none"},
    "tutorial": {"preset": "tutorial", "channels": "1"},
    "dcgan64": {"preset": "dcgan", "image_size": "64", "channels": "3", "batch_size": 128},
    "dcgan128": {"preset": "dcgan", "image_size": "128", "channels": "3", "batch_size": 64},
}
MODES: dict[str, dict[str, Any]] = {
    "float32": {},
    "bfloat16": {"mixed_precision": True},
    "float32, XLA": {"jit_compile": True},
    "bfloat16, XLA": {"mixed_precision": True, "jit_compile": True},
}
DTYPES = {name: "bfloat16" if "bfloat16" in name else "float32" for name in MODES}
STEPS_PER_CALL = (1, 10, 100)
SECONDS_EACH = 0.3
ROUNDS = 5
MARGIN_SECONDS = 5.0

Call = Callable[[], float]  # Returns the seconds of a step.


def measure_size(context: Context) -> dict[str, Any]:
    """Milliseconds per step, alternating with PyTorch, and the shares of the GPU's peak rates."""
    size = context.name.removeprefix("speed_")
    tf.config.experimental.enable_op_determinism()  # As in training
    config = _config(context, size)
    with contextlib.ExitStack() as stack:
        sides = _start_torch(context, size, stack)
        data = make_synthetic_data(config, pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())))
        gans, findings = {}, _describe(config)
        for mode, changes in _modes(context, size).items():
            start = time.perf_counter()
            try:
                gans[mode] = _own_step(_config(context, size, **changes), data)
                gans[mode](1)
            except Exception as error:  # What does not work is a finding.
                gans.pop(mode, None)
                findings["errors"][mode] = _short(error)
            findings["first_call_seconds"][mode] = round(time.perf_counter() - start, 1)
            context.save(findings)
        calls: dict[str, Call] = {
            f"{mode}, {count} per call": _repeated(gan, count)
            for mode, gan in gans.items()
            for count in ((1, 3) if context.small else STEPS_PER_CALL)
        }
        for name, side in sides.items():
            try:
                findings["pytorch"][name] = side.description
                calls[name] = _torch_call(side)
            except Exception as error:
                findings["errors"][name] = _short(error)
        _measure_by_turns(context, calls, findings)
    return findings


def measure_determinism(context: Context) -> dict[str, Any]:
    """The step without reproducible kernels, to show what such kernels cost."""
    findings: dict[str, Any] = {}
    for size in ("default",) if context.small else ("default", "dcgan64"):
        with tempfile.TemporaryDirectory() as folder:
            data = make_synthetic_data(_config(context, size), pathlib.Path(folder))
            for mode in ("float32",) if context.small else ("float32", "bfloat16"):
                step = _own_step(_config(context, size, **MODES[mode]), data)
                count = 3 if context.small else STEPS_PER_CALL[-1]
                call = _repeated(step, count)
                call()
                free = 1000 * statistics.median(call() for _ in range(1 if context.small else 3))
                name = f"{mode}, {count} per call"
                reproducible = _found(context, f"speed_{size}").get("ms", {}).get(name, {}).get("median")
                findings[f"{size}, {name}"] = {
                    "ms": free,
                    "reproducible_ms": reproducible,
                    "cost": reproducible and reproducible / free - 1,
                }
                context.save(findings)
    return findings


def least_bytes(gan: GAN) -> int:
    """Bytes that a step in float32 moves at least, where each layer reads its input and writes its output.

    Forward, a layer does both once. Backward, it reads its output and the gradient, and writes another gradient.
    D works on three batches, G on one. Adam reads four numbers per weight and writes three. The average of G reads two
    and writes one.
    """
    seen = 3 * costs.count_activations(gan.discriminator) + costs.count_activations(gan.generator)
    weights = 7 * (gan.discriminator.count_params() + gan.generator.count_params()) + 3 * gan.generator.count_params()
    return costs.BYTES_PER_FLOAT * (5 * gan.config.batch_size * seen + weights)


def _config(context: Context, size: str, **changes: Any) -> Config:
    small = {**SMALL, "dataset": "mnist", "image_size": "28", "batch_size": 8} if context.small else {}
    return make_config({**SIZES[size], **small, **changes})


def _modes(context: Context, size: str) -> dict[str, dict[str, Any]]:
    return MODES if size == "default" or not context.small else {"float32": {}}


def _describe(config: Config) -> dict[str, Any]:
    gan = GAN(config)
    weights = sum(each.count_params() for each in (gan.generator, gan.discriminator))
    trained = sum(
        int(tf.size(weight)) for each in (gan.generator, gan.discriminator) for weight in each.trainable_variables
    )
    return {
        "device": machine.describe_device(),
        "batch_size": config.batch_size,
        "weights": weights,
        "trained_weights": trained,
        "step_flops": costs.step_flops(gan.generator, gan.discriminator, config),
        "least_bytes": least_bytes(gan),
        "first_call_seconds": {},
        "errors": {},
        "pytorch": {},
        "ms": {},
    }


def _own_step(config: Config, data: Any) -> Callable[[int], object]:
    gan, batches = GAN(config), measure.endless_batches(data, config)
    return lambda steps: measure.train(gan, batches, steps)


def _repeated(step: Callable[[int], object], count: int) -> Call:
    """A function that calls `step` with `count` steps for a while and returns the seconds per step."""

    def call() -> float:
        start, steps = time.perf_counter(), 0
        while steps == 0 or time.perf_counter() - start < SECONDS_EACH:
            step(count)
            steps += count
        return (time.perf_counter() - start) / steps

    return call


def _start_torch(context: Context, size: str, stack: contextlib.ExitStack) -> dict[str, TorchSide]:
    ways = [(dtype, compiled) for compiled in (False, True) for dtype in ("float32", "bfloat16")]
    if context.small:  # PyTorch compiles for minutes on two cores.
        ways = ways[:1] if size == "default" else []
    sides = {}
    for dtype, compiled in ways if context.torch_python else []:
        name = f"PyTorch, {'compiled' if compiled else 'eager'}, {dtype}"
        sides[name] = TorchSide(context, size, dtype, compiled=compiled, batch_size=8 if context.small else 0)
        stack.callback(sides[name].close)
    return sides


def _torch_call(side: TorchSide) -> Call:
    side.seconds(3)
    each = side.seconds(3) / 3
    steps = max(3, round(SECONDS_EACH / each))
    return lambda: side.seconds(steps) / steps


def _measure_by_turns(context: Context, calls: dict[str, Call], findings: dict[str, Any]) -> None:
    milliseconds: dict[str, list[float]] = {name: [] for name in calls}
    longest = 0.0
    for _ in range(1 if context.small else ROUNDS):
        if context.seconds_left < longest + MARGIN_SECONDS:
            break
        start = time.monotonic()
        for name in [name for name in calls if name not in findings["errors"]]:
            try:
                milliseconds[name].append(1000 * calls[name]())
            except Exception as error:
                findings["errors"][name] = _short(error)
        longest = time.monotonic() - start
        _summarize(context, milliseconds, findings)
        context.save(findings)


def _summarize(context: Context, milliseconds: dict[str, list[float]], findings: dict[str, Any]) -> None:
    findings["ms"] = {
        name: {"median": statistics.median(values), "least": min(values), "most": max(values), "rounds": len(values)}
        for name, values in milliseconds.items()
        if values
    }
    device = _found(context, "device")
    best = {"float32": device.get("matmul_tf32_flops"), "bfloat16": device.get("matmul_bfloat16_flops")}
    for name, figures in findings["ms"].items():
        if name.startswith("PyTorch"):
            continue
        dtype = DTYPES[name.rpartition(", ")[0]]
        seconds = figures["median"] / 1000
        figures["images_per_second"] = findings["batch_size"] / seconds
        if best[dtype]:
            figures["share_of_matmul_rate"] = findings["step_flops"] / seconds / best[dtype]
        if dtype == "float32" and device.get("bandwidth"):
            figures["share_of_bandwidth_at_least"] = findings["least_bytes"] / seconds / device["bandwidth"]
        for way in ("eager", "compiled"):
            other = milliseconds.get(f"PyTorch, {way}, {dtype}")
            if other:
                pairs = zip(other, milliseconds[name], strict=False)
                figures[f"pytorch_{way}_takes_times"] = statistics.median(one / own for one, own in pairs)


def _found(context: Context, part: str) -> dict[str, Any]:
    path = context.work / f"{part}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:600]}"
