"""What the card spends the time of a train step on, from TensorFlow's own trace: kinds of kernels, and waiting."""

import collections
import pathlib
import re
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import dcgan_tf  # noqa: F401  Settles what TensorFlow reads from the environment

# isort: split
import tensorflow as tf

from dcgan_tf.benchmarking import measure
from dcgan_tf.benchmarking.workload import make_synthetic_data
from dcgan_tf.config.making import make_config
from dcgan_tf.training.gan import GAN
from tests.conftest import SMALL
from tests.gpu.part import Context
from tests.gpu.speed import MODES, SIZES

STEPS = 20
LISTED = 15
# The first pattern that is found in a kernel's name, in lower case, is its kind.
KINDS = (
    ("copies", r"memcpy|memset"),
    ("batch normalization", r"batchnorm|bn_fw|bn_bw|batch_norm"),
    ("layout", r"nchwtonhwc|nhwctonchw|transpose|swapdimension|shuffleintensor"),
    ("convolutions and matrix products", r"conv|gemm|xmma|cutlass|wgrad|dgrad|fprop|winograd|nvjet|matmul|cudnn"),
    ("Adam", r"adam"),
    ("random numbers", r"philox|random|fillphilox"),
    ("sums", r"reduce|softmax|sum"),
    ("element by element", r"."),
)
Interval = tuple[int, int]


def profile(context: Context) -> dict[str, Any]:
    """Shares of kinds of kernels in the time of a step, of the card at work, and the slowest kernels."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    tf.config.experimental.enable_op_determinism()
    findings: dict[str, Any] = {}
    for size in ("default", "dcgan64"):
        for mode in ("float32", "bfloat16", "float32, XLA"):
            if context.small and (size, mode) != ("default", "float32"):
                continue
            settings = {**SIZES[size], **(SMALL if context.small else {}), **MODES[mode]}
            config = make_config(settings)
            with tempfile.TemporaryDirectory() as folder:
                data = make_synthetic_data(config, pathlib.Path(folder))
                gan, batches = GAN(config), measure.endless_batches(data, config)
                measure.train(gan, batches, STEPS)
                with tf.profiler.experimental.Profile(folder):
                    measure.train(gan, batches, STEPS)
                (trace,) = pathlib.Path(folder).glob("plugins/profile/*/*.xplane.pb")
                space = xplane_pb2.XSpace.FromString(trace.read_bytes())
            findings[f"{size}, {mode}"] = read_trace(space, STEPS)
            context.save(findings)
    if not any("kinds" in each for each in findings.values()):
        return findings | {"status": "failed: no kernels in the trace; the log says whether CUPTI is missing"}
    return findings


def read_trace(space: Any, steps: int) -> dict[str, Any]:
    """Reads the plane of the GPU, or of the CPU where there is none. Times are in milliseconds per step."""
    planes = [plane for plane in space.planes if plane.name.startswith("/device:GPU")]
    planes = planes or [plane for plane in space.planes if plane.name == "/host:CPU"]
    seconds: collections.Counter = collections.Counter()
    intervals: list[Interval] = []
    kernels = 0
    for plane in planes[:1]:
        for line in plane.lines:
            is_kernels = line.name.startswith("Stream") or plane.name == "/host:CPU"
            for event in line.events if is_kernels else ():
                start = line.timestamp_ns * 1000 + event.offset_ps
                intervals.append((start, start + event.duration_ps))
                seconds[plane.event_metadata[event.metadata_id].name] += event.duration_ps / 1e12
                kernels += 1
    if not intervals:
        return {"planes": [plane.name for plane in space.planes]}
    wall = (max(stop for _, stop in intervals) - min(start for start, _ in intervals)) / 1e12
    kinds: collections.Counter = collections.Counter()
    for name, value in seconds.items():
        kinds[kind_of(name)] += value
    each = 1000 / steps
    return {
        "plane": planes[0].name,
        "ms": each * wall,
        "busy_share": covered(intervals) / 1e12 / wall,
        "kernels": kernels / steps,
        "kinds": {name: each * value for name, value in kinds.most_common()},
        "slowest": {name[:120]: each * value for name, value in seconds.most_common(LISTED)},
    }


def kind_of(name: str) -> str:
    """The kind of a kernel."""
    return next(kind for kind, pattern in KINDS if re.search(pattern, name.lower()) or kind == KINDS[-1][0])


def covered(intervals: Iterable[Interval] | Sequence[Interval]) -> int:
    """The length of what intervals cover together."""
    total, end = 0, None
    for start, stop in sorted(intervals):
        if end is None or start > end:
            total += stop - start
            end = stop
        elif stop > end:
            total += stop - end
            end = stop
    return total
