"""A model of the time of a train step on 1 to 64 devices: python -m tests.benchmarks.step_time

A step takes the time to compute a device's share of the batch, and to sum over all devices, each sum around a ring.
The first table compares the model with what tests.benchmarks.scaling measured (docs/distributed.md). The others apply
it to GPUs, with published bandwidths and with assumptions that are marked as such: none of this was measured.
`python -m dcgan_tf benchmark` measures what your GPU takes; pass this as --fixed_ms and --image_us.
"""

import dataclasses
import math
import sys

from absl import flags

from dcgan_tf.cli import command_line

FLAGS = flags.FLAGS
MIB = 2**20


@dataclasses.dataclass(frozen=True)
class Link:
    """What connects a device with the next one in the ring."""

    bytes_per_second: float
    seconds_per_message: float

    def sum(self, size: float, devices: int) -> float:
        """Seconds for a sum of this many bytes over the devices."""
        if devices == 1:
            return 0.0
        messages = 2 * (devices - 1)
        return messages / devices * size / self.bytes_per_second + messages * self.seconds_per_message


@dataclasses.dataclass(frozen=True)
class Networks:
    """What a step of two networks computes and sums.

    Attributes:
        fixed: Seconds of a step on one device that do not depend on the batch.
        per_image: Additional seconds for each image of the device.
        more_per_image: Further seconds per image on several devices, whose BatchNorm is not one fused operation.
        gradients: Bytes of both networks' gradients, which are summed once per network.
        small_sums: Number of sums for BatchNorm and the scalars.
        small_bytes: Mean bytes of such a sum per device: every device gets the moments of all.
    """

    fixed: float
    per_image: float
    more_per_image: float = 0.0
    gradients: float = 16.3 * MIB
    small_sums: int = 27
    small_bytes: float = 1024

    def step(self, devices: int, batch: int, link: Link, cores: int | None = None) -> float:
        """Seconds for a step of the global batch.

        With fewer ``cores`` than devices, the shares are computed in rounds: at each sum, all wait for the last one.
        """
        share, rounds = batch / devices, math.ceil(devices / (cores or devices))
        computing = rounds * (self.fixed + share * (self.per_image + (self.more_per_image if devices > 1 else 0.0)))
        large, small = (link.sum(size, devices) for size in (self.gradients / 2, devices * self.small_bytes))
        return computing + 2 * large + self.small_sums * small


# ---- Measured on two cores of an AMD EPYC, a core for each process, at 64x64 pixels: docs/distributed.md.
ONE_64, ONE_32, BESIDE_32 = (0.693, 0.670, 0.673, 0.696), (0.369, 0.341, 0.343, 0.377), (0.358, 0.342, 0.349, 0.395)
TWO_WORKERS = (0.448, 0.428, 0.466, 0.473)
THREE_WORKERS = (0.882, 1.106, 0.916)  # On two cores, with a batch of 96
# tests.benchmarks.sums: processes -> seconds for a sum of a few bytes, and for one of LARGE_BYTES
SUMS, LARGE_BYTES = {2: (0.0009, 0.055), 3: (0.0034, 0.085)}, 20e6
MORE_COMPUTATION = 0.037  # In a step of 32 images

# ---- Published, in one direction (bits as bytes), and as assumed in docs/distributed.md: 5 microseconds per message.
MESSAGE = 5e-6
LINKS = {
    "NVLink 4": Link(450e9, MESSAGE),
    "InfiniBand NDR": Link(50e9, MESSAGE),
    "Ethernet 100 Gbit/s": Link(12.5e9, MESSAGE),
    "Ethernet 10 Gbit/s": Link(1.25e9, MESSAGE),
}
DEVICES_A_NODE = 8  # Within a node, sums pass over NVLink only.
DEVICES = (1, 2, 4, 8, 16, 32, 64)
# ---- Per step and at the default intervals, in ms: tests.benchmarks.default_run on a CPU (docs/performance.md).
BESIDES = {"evaluation": 0.54, "samples and grids": 0.90, "scalars and monitor": 0.96}
CHECKPOINT_BYTES, DISK = 63 * MIB, 500e6
STEPS_A_CHECKPOINT = 1000


def mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def measured_cpu() -> Networks:
    """One core of the machine of docs/distributed.md."""
    per_image = (mean(ONE_64) - mean(ONE_32)) / 32
    return Networks(mean(ONE_64) - 64 * per_image, per_image, MORE_COMPUTATION / 32)


def measured_link(processes: int) -> Link:
    """What connected that many processes of this machine, from the times of sums around their ring."""
    small, large = SUMS[processes]
    messages = 2 * (processes - 1)
    return Link(messages / processes * LARGE_BYTES / (large - small), small / messages)


def predictions() -> dict[str, tuple[float, tuple[float, ...]]]:
    """What was measured -> the model's seconds, and those of the series."""
    networks, link = measured_cpu(), measured_link(2)
    return {
        "one process, batch 64": (networks.step(1, 64, link), ONE_64),
        "one process, batch 32": (networks.step(1, 32, link), ONE_32),
        "two processes that share nothing, batch 32 each": (networks.step(1, 32, link), BESIDE_32),
        "two workers, 32 of the 64 images each": (networks.step(2, 64, link), TWO_WORKERS),
        "three workers on two cores, 32 of the 96 images each": (
            networks.step(3, 96, measured_link(3), cores=2),
            THREE_WORKERS,
        ),
    }


def link_for(devices: int, between_nodes: Link) -> Link:
    """The slowest link of the ring."""
    return LINKS["NVLink 4"] if devices <= DEVICES_A_NODE else between_nodes


def define_flags() -> None:
    # 172 operations of 10 microseconds; 1.02 GFLOP at 15 % of the 495 TFLOP/s (TF32) of an H100.
    flags.DEFINE_float("fixed_ms", 1.7, "Milliseconds of a step that do not depend on the batch.")
    flags.DEFINE_float("image_us", 14.0, "Microseconds for each image.")
    flags.DEFINE_integer("images", 64, "Images of each GPU, where the batch grows with their number.")
    flags.DEFINE_integer("batch", 1024, "Images of all GPUs, where it does not.")


def run() -> None:
    print("| Measured | s, all series | model | difference |\n|---|---|---|---|")
    for name, (predicted, series) in predictions().items():
        values = ", ".join(f"{value:.3f}" for value in series)
        print(f"| {name} | {values} | {predicted:.3f} | {predicted / mean(series) - 1:+.1%} |")

    networks, link = measured_cpu(), measured_link(2)
    fused = dataclasses.replace(networks, more_per_image=0.0)
    print("\nTwo workers of one core each, compared with one process on one core (calculated)")
    print("\n| Global batch | speed-up | if BatchNorm cost no more than on one device |\n|---|---|---|")
    for batch in (64, 128, 256, 1024, 10**6):
        speedups = [each.step(1, batch, link) / each.step(2, batch, link) for each in (networks, fused)]
        print(f"| {batch:,} | {speedups[0]:.2f} | {speedups[1]:.2f} |")

    gpu = Networks(FLAGS.fixed_ms / 1e3, FLAGS.image_us / 1e6)
    times = f"{FLAGS.fixed_ms:g} ms per step and {FLAGS.image_us:g} us per image"
    print(f"\nGPUs, {DEVICES_A_NODE} per node: {times} (assumed)")
    print(f"\n| GPUs | {' | '.join(f'{name}, ms' for name in LINKS)} | images/s of the best | of ideal |")
    print("|---" * (len(LINKS) + 3) + "|")
    for title, batch_for in (
        (f"{FLAGS.images} images each", lambda devices: FLAGS.images * devices),
        (f"batch {FLAGS.batch} in all", lambda devices: FLAGS.batch),
    ):
        print(f"| **{title}** |" + " |" * (len(LINKS) + 2))
        for devices in DEVICES:
            batch = batch_for(devices)
            steps = [gpu.step(devices, batch, link_for(devices, link)) for link in LINKS.values()]
            ideal = devices * batch_for(1) / gpu.step(1, batch_for(1), LINKS["NVLink 4"])
            rate = batch / min(steps)
            cells = " | ".join(f"{1000 * step:.1f}" for step in steps)
            print(f"| {devices} | {cells} | {rate:,.0f} | {rate / ideal:.0%} |")

    step = 1000 * gpu.step(64, 64 * FLAGS.images, LINKS["InfiniBand NDR"])
    checkpoint = 1000 * CHECKPOINT_BYTES / DISK / STEPS_A_CHECKPOINT
    print(
        f"\nBesides a step of {step:.1f} ms on 64 GPUs, per step at the default intervals:\n\n| What | ms |\n|---|---|"
    )
    for name, milliseconds in {**BESIDES, "checkpoints": checkpoint}.items():
        print(f"| {name} | {milliseconds:.2f} ({milliseconds / step:.0%}) |")


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.step_time")
