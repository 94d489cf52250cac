"""How soon generated digits are good: python -m tests.benchmarks.time_to_quality --results=FILE

Trains each candidate for some minutes, or with --steps for some steps. On the way, it measures the Frechet distance
between 10,000 samples of the moving average and the test split, on the features of the data set's own classifier or,
with --features_from, of another labeled data set's. Without a test split, it compares with all images. The clock
stops while it measures and compiles. Rows are written as they are measured, so an interrupted command continues with
the first run that is not complete. It trains in the precision of a normal run. Learning rates that fall over the
length of a run need this length: --set=steps=N.
"""

import pathlib
import sys
import time
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from dcgan_tf.data.batches import make_batches
from dcgan_tf.data.prepare import prepare
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.evaluation.classifier import load_or_train_classifier
from dcgan_tf.evaluation.features import FeatureNetwork, classifier_network, compute_features, read_batches
from dcgan_tf.evaluation.labeled import labeled_config, labeled_network
from dcgan_tf.evaluation.splits import open_test_split, spread_rows
from dcgan_tf.generation.sampling import generate
from dcgan_tf.metrics.frechet import frechet_distance
from dcgan_tf.training.devices import settle_precision
from dcgan_tf.training.gan import GAN
from tests.benchmarks.rows import Rows, spread
from tests.benchmarks.settings import parse_settings

FLAGS = flags.FLAGS

MOST_STEPS = 10**7
# Networks without any tuning, with which the defaults are compared: kernels of 4, 7x7x128 -> 64 -> 1, 32 -> 64.
QUICK_PAIR: dict[str, Any] = {
    "blocks": 2,
    "kernel_size": 4,
    "generator_filters": "64",
    "discriminator_filters": "32",
    "batch_size": 64,
    "learning_rate_generator": 5e-4,
    "learning_rate_discriminator": 5e-4,
    "learning_rate_decay": "constant",
    "beta_1": 0.5,
    "beta_2": 0.999,
    "ema_decay": 0.999,
    "batchnorm_momentum": 0.9,
    "penalty": "none",
}
CANDIDATES_BY_NAME: dict[str, dict[str, Any]] = {
    "default": {},
    "quick_pair": QUICK_PAIR,
    "tutorial": {"preset": "tutorial"},
}


def define_flags() -> None:
    flags.DEFINE_string("results", None, "File of the rows, one JSON object per line.", required=True)
    flags.DEFINE_string("pictures", "", "Folder for a picture of each run's last samples.")
    flags.DEFINE_list("candidates", ["default", "quick_pair"], "Names of the rows of CANDIDATES to run.")
    flags.DEFINE_list("minutes", ["1", "2", "4", "8", "12"], "Minutes of training after which to measure.")
    flags.DEFINE_list("steps", [], "Training steps after which to measure, instead of minutes.")
    flags.DEFINE_integer("samples", 10_000, "Images to compare on each side, at most.")
    flags.DEFINE_string("features_from", "", "Labeled folder whose classifier computes the features.")
    flags.DEFINE_integer("first_seed", 0, "Seed of the first run.")
    flags.DEFINE_integer("seeds", 1, "Runs of each candidate.")
    flags.DEFINE_multi_string("set", [], "A further setting as name=value, for trials; may be repeated.")


def marks() -> list[tuple[str, float, int]]:
    """When to measure: the name, and the limits in seconds and in steps, whichever is reached first."""
    by_steps = [(f"{steps} steps", float("inf"), int(steps)) for steps in sorted(FLAGS.steps, key=int)]
    minutes = sorted(FLAGS.minutes, key=float)
    return by_steps or [(f"{minute} min", 60 * float(minute), MOST_STEPS) for minute in minutes]


def train_and_measure(rows: Rows, key: dict[str, Any]) -> None:
    """Trains one candidate and measures it at each of the marks."""
    typed = {**CANDIDATES_BY_NAME[key["candidate"]], **parse_settings(FLAGS.set)}
    config = make_config({"steps": MOST_STEPS, "seed": key["seed"], **typed})
    config, data = prepare(settle_precision(config))
    if FLAGS.features_from:
        network = labeled_network(labeled_config(FLAGS.features_from, config), config.sample_shape)
    else:
        network = classifier_network(load_or_train_classifier(config), config.sample_shape)
    test = open_test_split(config)
    places = spread_rows(len(test.data.labels), FLAGS.samples)
    real = compute_features([network], read_batches(test.data.read, places), len(places), "real")[network.name].values
    gan = GAN(config)
    batches = iter(make_batches(data, config, 0, config.steps))
    gan.train_steps(batches, tf.constant(1))
    trained, processor = 0.0, 0.0
    for mark, seconds, steps in marks():
        start, processor_start = time.perf_counter(), time.process_time()
        while (done := int(gan.step)) < steps and trained + time.perf_counter() - start < seconds:
            metrics, _ = gan.train_steps(batches, tf.constant(min(config.steps_per_call, steps - done)))
            float(metrics["loss/generator"])  # Waits for the steps.
        trained += time.perf_counter() - start
        processor += time.process_time() - processor_start
        rows.add(
            **key,
            mark=mark,
            step=int(gan.step),
            seconds=round(trained, 3),
            processor_seconds=round(processor, 3),
            distance=measure(gan, network, real),
            network=network.name,
        )
    if FLAGS.pictures:
        pathlib.Path(FLAGS.pictures).mkdir(parents=True, exist_ok=True)
        name = f"{key['candidate']}-{key['seed']}.png"
        save_png(make_grid(generate(gan.ema_generator, range(64))), pathlib.Path(FLAGS.pictures) / name)


def measure(gan: GAN, network: FeatureNetwork, real: np.ndarray) -> float:
    images = read_batches(lambda seeds: generate(gan.ema_generator, seeds), np.arange(FLAGS.samples))
    return frechet_distance(real, compute_features([network], images, FLAGS.samples, "generated")[network.name].values)


def write_table(rows: Rows) -> None:
    lines = []
    for row in rows.matching():
        shown = {name: row[name] for name in ("candidate", "set", "features_from", "samples", "mark")}
        group = rows.matching(**shown)
        measured = (spread(each[name] for each in group) for name in ("step", "seconds", "distance"))
        line = (*shown.values(), len(group), *measured)
        if line not in lines:
            lines.append(line)
    heads = ("Candidate", "Settings", "Features from", "Samples", "Mark", "Seeds", "Steps", "Seconds", "Distance")
    rows.write_table(heads, lines)


def run() -> None:
    rows = Rows(FLAGS.results, ("candidate", "set", "features_from", "samples", "seed", "mark"))
    for seed in range(FLAGS.first_seed, FLAGS.first_seed + FLAGS.seeds):
        for name in FLAGS.candidates:
            key = {"candidate": name, "set": " ".join(FLAGS.set), "seed": seed}
            key |= {"features_from": FLAGS.features_from, "samples": FLAGS.samples}
            if not all(rows.matching(**key, mark=mark) for mark, _, _ in marks()):
                train_and_measure(rows, key)
                write_table(rows)
    write_table(rows)


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.time_to_quality")
