"""Ring and grid of Gaussians by PacGAN's protocol: python -m tests.benchmarks.mixtures --results=FILE

The protocol is by Lin et al. 2018 (arXiv 1712.04086), section 4.1. What the paper leaves open is as in its authors'
code. G has hidden layers of 400 units with BatchNorm and ReLU, and D has three maxout layers of 200 units and 5 pieces.
Weights are drawn from N(0, 0.02), and z has two numbers. Training uses Adam with 1e-4 and beta1 0.8, and batches of 100
rows, for 400 epochs of 100,000 points: 400,000 steps. BatchNorm's moving statistics serve to draw 2,500 samples. A
sample is of high quality within three standard deviations of a center, and a mode is found if it has at least one such
sample. The reverse KL, in nats, goes from the shares of the modes among these samples to equal shares.

The paper's text names two hidden layers of G, but its authors' code has four: --generator_layers. Two things differ
here: BatchNorm sees all points of a batch together, where the authors' code normalizes each of the packed ones by
itself; and D is updated before G, where theirs updates both at once.
Rows are written as they are measured, so an interrupted command continues with the first run that is not complete.
"""

import math
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from dcgan_tf.config.settings import Config
from dcgan_tf.data.points import MIXTURES, Mixture
from dcgan_tf.data.prepare import prepare
from dcgan_tf.generation.sampling import generate
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.optimizers import build_optimizer
from tests.benchmarks.rows import Rows, ascending, spread, train_to_marks
from tests.benchmarks.settings import parse_settings

FLAGS = flags.FLAGS

SAMPLES = 2500
ROWS = 100
GENERATOR_UNITS, DISCRIMINATOR_UNITS, DISCRIMINATOR_LAYERS, PIECES = 400, 200, 3, 5
BASE: dict[str, Any] = {
    "latent_dim": 2,
    "learning_rate_generator": 1e-4,
    "learning_rate_discriminator": 1e-4,
    "beta_1": 0.8,
    "ema_decay": 0.0,
    "steps_per_call": 1000,
}


def define_flags() -> None:
    flags.DEFINE_string("results", None, "File of the rows, one JSON object per line.", required=True)
    flags.DEFINE_list("data", list(MIXTURES), "Any of ring, grid.")
    flags.DEFINE_list("packs", ["1", "2", "3", "4"], "Numbers of points that D judges at once.")
    flags.DEFINE_integer("seeds", 3, "Number of training runs for each combination; the paper has ten.")
    flags.DEFINE_integer("generator_layers", 4, "Hidden layers of G.")
    flags.DEFINE_enum("discriminator", "maxout", ["maxout", "leaky_relu"], "Hidden layers of D.")
    flags.DEFINE_list("steps", ["25000", "50000", "100000", "200000", "400000"], "Steps at which to measure.")
    flags.DEFINE_float("seconds", float("inf"), "Maximum seconds of each training run.")
    flags.DEFINE_multi_string("set", [], "A further setting as name=value, for trials; may be repeated.")


def build_generator(config: Config, layers: int, seed: int) -> keras.Model:
    """The authors' generator: no biases except in the last layer, and BatchNorm with momentum 0.95."""
    weights = keras.initializers.RandomNormal(stddev=0.02, seed=keras.random.SeedGenerator(seed))
    z = x = keras.Input((config.latent_dim,), name="z")
    for number in range(1, layers + 1):
        x = keras.layers.Dense(GENERATOR_UNITS, use_bias=False, kernel_initializer=weights, name=f"hidden_{number}")(x)
        x = keras.layers.BatchNormalization(momentum=0.95, epsilon=1e-4, name=f"hidden_{number}_norm")(x)
        x = keras.layers.ReLU(name=f"hidden_{number}_relu")(x)
    return keras.Model(z, keras.layers.Dense(2, kernel_initializer=weights, name="to_point")(x), name="generator")


def build_discriminator(config: Config, kind: str, seed: int) -> keras.Model:
    """The authors' discriminator, or one with LeakyReLU in place of maxout."""
    weights = keras.initializers.RandomNormal(stddev=0.02, seed=keras.random.SeedGenerator(seed))
    points = x = keras.Input((2 * config.pack,), name="points")
    for number in range(1, DISCRIMINATOR_LAYERS + 1):
        name = f"hidden_{number}"
        if kind == "maxout":
            x = keras.layers.Dense(DISCRIMINATOR_UNITS * PIECES, kernel_initializer=weights, name=name)(x)
            x = keras.layers.Reshape((DISCRIMINATOR_UNITS, PIECES), name=f"{name}_pieces")(x)
            x = keras.ops.max(x, axis=-1)
        else:
            x = keras.layers.Dense(DISCRIMINATOR_UNITS, kernel_initializer=weights, name=name)(x)
            x = keras.layers.LeakyReLU(0.2, name=f"{name}_leaky_relu")(x)
    logits = keras.layers.Dense(1, kernel_initializer=weights, name="logits")(x)
    return keras.Model(points, logits, name="discriminator")


def make_gan(config: Config) -> GAN:
    """A GAN that trains the authors' networks as the project does."""
    gan = GAN(config)
    layers = FLAGS.generator_layers
    gan.generator, gan.ema_generator = (build_generator(config, layers, config.seed) for _ in range(2))
    gan.discriminator = build_discriminator(config, FLAGS.discriminator, config.seed + 1000)
    gan.generator_optimizer = build_optimizer(config, config.learning_rate_generator, gan.generator)
    gan.discriminator_optimizer = build_optimizer(config, config.learning_rate_discriminator, gan.discriminator)
    return gan


def measure(points: np.ndarray, mixture: Mixture) -> dict[str, float]:
    """The metrics of PacGAN's table 1, for points float32 [N, 2]."""
    distances = np.linalg.norm(points[:, None] - mixture.centers[None], axis=2)
    good = distances.min(axis=1) <= 3 * mixture.deviation
    counts = np.bincount(distances.argmin(axis=1)[good], minlength=len(mixture.centers))
    shares = counts[counts > 0] / max(1, counts.sum())
    kl = math.log(len(counts)) + float(shares @ np.log(shares)) if len(shares) else None
    return {"modes": int((counts > 0).sum()), "high_quality": float(good.mean()), "reverse_kl": kl}


def train_and_measure(rows: Rows, key: dict[str, Any]) -> None:
    marks = ascending(FLAGS.steps)
    typed = {
        **BASE,
        "dataset": key["data"],
        "pack": key["pack"],
        "batch_size": ROWS * key["pack"],
        "seed": key["seed"],
        "steps": marks[-1],
        **parse_settings(FLAGS.set),
    }
    config, data = prepare(make_config(typed))
    gan = make_gan(config)
    for step, seconds in train_to_marks(gan, data, marks, FLAGS.seconds):
        measured = measure(generate(gan.ema_generator, range(SAMPLES)), MIXTURES[config.dataset])
        rows.add(**key, step=step, seconds=round(seconds, 3), **measured)


def write_table(rows: Rows) -> None:
    lines = []
    for row in rows.matching():
        shown = {name: row[name] for name in ("data", "pack", "layers", "discriminator", "set", "step")}
        group = rows.matching(**shown)
        line = [
            *shown.values(),
            len(group),
            *(spread(each[name] for each in group if each[name] is not None)
              for name in ("modes", "high_quality", "reverse_kl", "seconds")),
        ]  # fmt: skip
        if line not in lines:
            lines.append(line)
    heads = (
        "Data",
        "Pack",
        "Layers of G",
        "D",
        "Settings",
        "Steps",
        "Seeds",
        "Modes",
        "High quality",
        "Reverse KL",
        "Seconds",
    )
    rows.write_table(heads, sorted(lines, key=lambda line: line[:6]))


def run() -> None:
    tf.config.experimental.enable_op_determinism()
    rows = Rows(FLAGS.results, ("data", "pack", "layers", "discriminator", "set", "seed", "step"))
    for seed in range(FLAGS.seeds):
        for data in FLAGS.data:
            for pack in map(int, FLAGS.packs):
                key = {"data": data, "pack": pack, "layers": FLAGS.generator_layers}
                key |= {"discriminator": FLAGS.discriminator, "set": " ".join(FLAGS.set), "seed": seed}
                if not rows.has_run(ascending(FLAGS.steps)[-1], FLAGS.seconds, **key):
                    train_and_measure(rows, key)
                    write_table(rows)
    write_table(rows)


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.mixtures")
