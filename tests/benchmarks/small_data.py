"""What augmentation does for few pictures: python -m tests.benchmarks.small_data --results=FILE [--set=dataset=...]

Trains on 100, 500 and 1,000 pictures: without augmentation, with fixed augmentation (DiffAugment) and with adaptive
augmentation (ADA). At marks, it measures memorization, and the Frechet distance to pictures that were not trained on.
Rows are written as they are measured, so an interrupted command continues with the first run that is not complete. The
table is written after each run. Data sets:

    --set=dataset=fashion_mnist --set=manual_dir=FOLDER_WITH_THE_FOUR_FILES
    --set=dataset=folder --set=data_dir=FOLDER --set=image_size=64 --set=flip=true --features_from=LABELED_FOLDER
"""

import sys
from typing import Any

import tensorflow as tf
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.training.gan import GAN
from tests.benchmarks.few_pictures import Pictures, open_pictures
from tests.benchmarks.rows import Rows, ascending, spread, train_to_marks
from tests.benchmarks.settings import parse_settings

FLAGS = flags.FLAGS

METHODS = {"none": {}, "fixed": {"diff_augment": "color,translation,cutout"}, "ada": {"augment": "ada"}}
DATA_SETTINGS = ("dataset", "data_dir", "manual_dir", "cache_dir", "image_size", "channels", "crop", "crop_size")


def define_flags() -> None:
    flags.DEFINE_string("results", None, "File of the rows, one JSON object per line.", required=True)
    flags.DEFINE_list("pictures", ["100", "500", "1000"], "Numbers of training pictures.")
    flags.DEFINE_list("methods", list(METHODS), "Any of none, fixed, ada.")
    flags.DEFINE_integer("seeds", 2, "Number of training runs for each combination.")
    flags.DEFINE_list("steps", ["1000", "2000", "3000", "4000", "5000"], "Steps at which to measure.")
    flags.DEFINE_float("seconds", float("inf"), "Maximum seconds of each training run.")
    flags.DEFINE_integer("samples", 5000, "Generated images, and most held-out ones.")
    flags.DEFINE_string("features_from", "", "Labeled folder whose classifier computes the features.")
    flags.DEFINE_multi_string("set", [], "A setting as name=value; may be repeated. Those of the data set at least.")


def common_key() -> dict[str, Any]:
    """What all rows of this command have in common. Rows of other settings may be in the same file."""
    return {"set": " ".join(FLAGS.set), "features_from": FLAGS.features_from, "samples": FLAGS.samples}


def train_and_measure(pictures: Pictures, rows: Rows, key: dict[str, Any]) -> None:
    settings = {name: value for name, value in parse_settings(FLAGS.set).items() if name not in DATA_SETTINGS}
    marks = ascending(FLAGS.steps)
    config, data = pictures.prepare_first(
        key["pictures"],
        {"steps": marks[-1], "seed": key["seed"], "evaluate_every": 0, **settings, **METHODS[key["method"]]},
    )
    gan = GAN(config)
    for step, seconds in train_to_marks(gan, data, marks, FLAGS.seconds):
        rows.add(
            **key,
            step=step,
            seconds=round(seconds, 3),
            distance=pictures.distance(gan, FLAGS.samples),
            memorization=pictures.memorization(gan, key["pictures"]),
            probability=float(gan.adaptive.value.numpy()) if gan.adaptive is not None else None,
            network=pictures.network.name,
        )


def write_table(rows: Rows) -> None:
    """Writes the distances at the marks and each run's last row, as means and standard deviations over the seeds."""
    steps = sorted({row["step"] for row in rows.matching(**common_key())})
    lines = []
    for count in map(int, FLAGS.pictures):
        for method in FLAGS.methods:
            runs = [
                rows.matching(**common_key(), pictures=count, method=method, seed=seed) for seed in range(FLAGS.seeds)
            ]
            runs = [run for run in runs if run]
            last = [run[-1] for run in runs]
            probabilities = [row["probability"] for row in last if row["probability"] is not None]
            lines.append((
                count, method, len(runs),
                *(spread(row["distance"] for run in runs for row in run if row["step"] == step) for step in steps),
                spread(row["memorization"] for row in last),
                spread(probabilities),
                spread(row["seconds"] for row in last),
            ))  # fmt: skip
    rows.write_table(
        ("Pictures", "Augmentation", "Seeds", *(f"{step:,} steps" for step in steps), "Memorization", "Probability",
         "Seconds"),
        lines,
    )  # fmt: skip


def run() -> None:
    tf.config.experimental.enable_op_determinism()
    rows = Rows(FLAGS.results, (*common_key(), "pictures", "method", "seed", "step"))
    data = {name: value for name, value in parse_settings(FLAGS.set).items() if name in DATA_SETTINGS}
    pictures = open_pictures(data, FLAGS.samples, FLAGS.features_from)
    for seed in range(FLAGS.seeds):
        for count in map(int, FLAGS.pictures):
            for method in FLAGS.methods:
                key = {**common_key(), "pictures": count, "method": method, "seed": seed}
                if not rows.has_run(ascending(FLAGS.steps)[-1], FLAGS.seconds, **key):
                    train_and_measure(pictures, rows, key)
                    write_table(rows)
    write_table(rows)


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.small_data")
