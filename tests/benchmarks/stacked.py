"""What unrolling does on Stacked MNIST, by the length of training: python -m tests.benchmarks.stacked --results=FILE

The tiny networks of the unrolled GAN paper (Metz et al. 2017, arXiv 1611.02163), as in tests.benchmarks.objectives, for
0, 1, 5 and 10 unrolled steps. At the given steps, it counts the modes of 25,600 samples, drawn once with BatchNorm's
moving statistics, and once with those of batches of 128. --virtual=sgd unrolls by plain gradient descent in place of
Adam, and --start=before unrolls from the discriminator as it was before the update of the same step. Rows are written
as they are measured, so an interrupted command continues with the first run that is not complete.
"""

import contextlib
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.evaluation.classifier import Classifier, load_or_train_classifier
from dcgan_tf.generation.sampling import generate, seed_latents
from dcgan_tf.metrics.modes import count_modes, stacked_modes
from dcgan_tf.models.pixels import to_samples
from dcgan_tf.training import gan as gan_module
from dcgan_tf.training.gan import GAN, Metrics
from tests.benchmarks.objectives import STACKED_BASE, STACKED_SIZES, classify
from tests.benchmarks.rows import Rows, ascending, spread, train_to_marks
from tests.benchmarks.settings import parse_settings

FLAGS = flags.FLAGS

BATCH = 128
KEY = ("size", "unroll", "pack", "virtual", "rate", "start", "set", "seed", "step")


def define_flags() -> None:
    flags.DEFINE_string("results", None, "File of the rows, one JSON object per line.", required=True)
    flags.DEFINE_string("pictures", "", "Folder for a picture of each run's samples.")
    flags.DEFINE_list("sizes", list(STACKED_SIZES), "Sizes of D relative to G: any of 1/4, 1/2.")
    flags.DEFINE_list("unroll", ["0", "1", "5", "10"], "Numbers of unrolled steps.")
    flags.DEFINE_integer("pack", 1, "Images that D judges at once.")
    flags.DEFINE_enum("virtual", "adam", ["adam", "sgd"], "The virtual updates of D.")
    flags.DEFINE_float("virtual_rate", 0.05, "Learning rate of the virtual updates by sgd.")
    flags.DEFINE_enum("start", "after", ["after", "before"], "Unroll from D after its own update, or before.")
    flags.DEFINE_integer("first_seed", 0, "Seed of the first training run.")
    flags.DEFINE_integer("seeds", 3, "Number of training runs for each combination.")
    flags.DEFINE_list("steps", ["5000", "10000", "25000", "50000"], "Steps at which to measure.")
    flags.DEFINE_float("seconds", float("inf"), "Maximum seconds of each training run.")
    flags.DEFINE_integer("samples", 25_600, "Generated images that are counted.")
    flags.DEFINE_multi_string("set", [], "A further setting as name=value, for trials; may be repeated.")


class EarlierGAN(GAN):
    """A GAN in which G plays against D as it was before D's update in the same step."""

    @tf.autograph.experimental.do_not_convert
    def train_step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Metrics, dict[str, tf.Tensor]]:
        result = super().train_step(images, labels)
        super()._apply_to_discriminator(self._gradients)
        return result

    def _apply_to_discriminator(self, gradients: list[tf.Tensor]) -> None:
        self._gradients = gradients


def unroll_by_gradient_descent(
    weights: Sequence[tf.Tensor],
    optimizer: keras.Optimizer,
    loss: Callable[[list[tf.Tensor]], tf.Tensor],
    steps: int,
) -> list[tf.Tensor]:
    """Takes the place of `dcgan_tf.objectives.unrolled.unroll`."""
    current = list(weights)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(current)
            value = loss(current)
        gradients = tape.gradient(value, current)
        current = [weight - FLAGS.virtual_rate * gradient for weight, gradient in zip(current, gradients, strict=True)]
    return current


def generate_in_batches(generator: keras.Model, latent_dim: int, count: int) -> np.ndarray:
    """Images generated with the statistics of batches of 128, as in training; the moving statistics do not change."""
    before = generator.get_weights()
    parts = []
    for start in range(0, count, BATCH):
        z = seed_latents(range(start, start + BATCH), latent_dim)
        parts.append(to_samples(generator(z, training=True)).numpy())
    generator.set_weights(before)
    return np.concatenate(parts)[:count]


def count(classifier: Classifier, images: np.ndarray) -> tuple[int, float]:
    """The modes found out of 1,000, and the KL divergence to equal shares, without correction, as in the papers."""
    digits = [classify(classifier.network, images[..., channel : channel + 1]) for channel in range(3)]
    modes = stacked_modes(np.stack(digits, axis=1))
    shares = np.bincount(modes, minlength=1000) / len(modes)
    shares = shares[shares > 0]
    return count_modes(modes, 1000).found, float(np.log(1000) + shares @ np.log(shares))


def train_and_measure(rows: Rows, classifier: Classifier, key: dict[str, Any]) -> None:
    marks = ascending(FLAGS.steps)
    typed = {
        **STACKED_BASE,
        "discriminator_filters": STACKED_SIZES[key["size"]],
        "unroll_steps": key["unroll"],
        "pack": key["pack"],
        "batch_size": BATCH * key["pack"],
        "seed": key["seed"],
        "steps": marks[-1],
        **parse_settings(FLAGS.set),
    }
    config, data = prepare(make_config(typed))
    gan = EarlierGAN(config) if key["start"] == "before" else GAN(config)
    virtual = contextlib.nullcontext()
    if key["virtual"] == "sgd":
        virtual = mock.patch.object(gan_module, "unroll", unroll_by_gradient_descent)
    with virtual:
        for step, seconds in train_to_marks(gan, data, marks, FLAGS.seconds):
            moving = count(classifier, generate(gan.ema_generator, range(FLAGS.samples)))
            batch = count(classifier, generate_in_batches(gan.ema_generator, config.latent_dim, FLAGS.samples))
            rows.add(
                **key,
                step=step,
                seconds=round(seconds, 3),
                modes=moving[0],
                kl=moving[1],
                modes_by_batch=batch[0],
                kl_by_batch=batch[1],
            )
    if FLAGS.pictures:
        pathlib.Path(FLAGS.pictures).mkdir(parents=True, exist_ok=True)
        name = "-".join(str(value) for value in key.values() if value not in (None, "")).replace("/", "")
        save_png(make_grid(generate(gan.ema_generator, range(64))), pathlib.Path(FLAGS.pictures) / f"{name}.png")


def write_table(rows: Rows) -> None:
    lines = []
    for row in rows.matching():
        shown = {name: row[name] for name in KEY if name != "seed"}
        group = rows.matching(**shown)
        measured = ("modes", "kl", "modes_by_batch", "kl_by_batch", "seconds")
        line = [*shown.values(), len(group), *(spread(each[name] for each in group) for name in measured)]
        if line not in lines:
            lines.append(line)
    by_batch = ("Modes, batch statistics", "KL, batch statistics")
    heads = ("D / G", "Unrolled", "Pack", "Virtual", "Rate", "Start", "Set", "Steps", "Seeds")
    rows.write_table((*heads, "Modes", "KL", *by_batch, "Seconds"), sorted(lines, key=lambda line: str(line[:7])))


def run() -> None:
    tf.config.experimental.enable_op_determinism()
    rows = Rows(FLAGS.results, KEY)
    digits_config, _ = prepare(make_config({"dataset": "mnist"}))
    classifier = load_or_train_classifier(digits_config)
    for seed in range(FLAGS.first_seed, FLAGS.first_seed + FLAGS.seeds):
        for size in FLAGS.sizes:
            for unroll in map(int, FLAGS.unroll):
                key = {"size": size, "unroll": unroll, "pack": FLAGS.pack, "virtual": FLAGS.virtual}
                key |= {"rate": FLAGS.virtual_rate if FLAGS.virtual == "sgd" else None, "start": FLAGS.start}
                key |= {"set": " ".join(FLAGS.set), "seed": seed}
                if not rows.has_run(ascending(FLAGS.steps)[-1], FLAGS.seconds, **key):
                    train_and_measure(rows, classifier, key)
                    write_table(rows)
    write_table(rows)


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.stacked")
