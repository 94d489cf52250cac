"""How much a trained model helps to train a new one: python -m tests.benchmarks.transfer --results=FILE --set=...

Trains on 500 pictures from random weights, from the weights of a trained model (--init_from), and from these with the
first blocks of the discriminator frozen. Measures the Frechet distance to pictures that were not trained on, at marks,
and how soon each run reaches the lowest distance of the run from random weights. Rows are written as they are measured,
so an interrupted command continues with the first run that is not complete. The model must have the same networks as
the runs. From digits to clothes, with the bundled generator:

    --init_from=mnist --set=dataset=fashion_mnist --set=manual_dir=FOLDER_WITH_THE_FOUR_FILES
"""

import sys
from typing import Any

import tensorflow as tf
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.transfer import begin_from_model
from tests.benchmarks.few_pictures import Pictures, open_pictures
from tests.benchmarks.rows import Rows, ascending, spread, train_to_marks
from tests.benchmarks.settings import parse_settings
from tests.benchmarks.small_data import DATA_SETTINGS

FLAGS = flags.FLAGS

SCRATCH = "scratch"


def define_flags() -> None:
    flags.DEFINE_string("results", None, "File of the rows, one JSON object per line.", required=True)
    flags.DEFINE_string("init_from", "mnist", "Folder of a run or an export, or the name of a bundled generator.")
    flags.DEFINE_list("frozen", ["0", "1", "2"], "Numbers of frozen blocks to try.")
    flags.DEFINE_integer("pictures", 500, "Training pictures.")
    flags.DEFINE_integer("seeds", 2, "Number of training runs for each combination.")
    flags.DEFINE_list(
        "steps", ["100", "250", "500", "750", "1000", "1500", "2000", "3000"], "Steps at which to measure."
    )
    flags.DEFINE_float("seconds", float("inf"), "Maximum seconds of each training run.")
    flags.DEFINE_integer("samples", 5000, "Generated images, and most held-out ones.")
    flags.DEFINE_multi_string("set", [], "A setting as name=value; may be repeated. Those of the data set at least.")


def ways() -> dict[str, dict[str, Any]]:
    """Name -> settings. Training from random weights comes first."""
    found: dict[str, dict[str, Any]] = {SCRATCH: {}}
    for frozen in map(int, FLAGS.frozen):
        name = f"model, {frozen} frozen" if frozen else "model"
        found[name] = {"init_from": FLAGS.init_from} | ({"freeze_discriminator": frozen} if frozen else {})
    return found


def common_key() -> dict[str, Any]:
    """What all rows of this command have in common. Rows of other settings may be in the same file."""
    names = ("init_from", "pictures", "samples")
    return {name: FLAGS[name].value for name in names} | {"set": " ".join(FLAGS.set)}


def train_and_measure(pictures: Pictures, rows: Rows, key: dict[str, Any]) -> None:
    settings = {name: value for name, value in parse_settings(FLAGS.set).items() if name not in DATA_SETTINGS}
    marks = ascending(FLAGS.steps)
    config, data = pictures.prepare_first(
        FLAGS.pictures, {"steps": marks[-1], "seed": key["seed"], "evaluate_every": 0, **settings, **ways()[key["way"]]}
    )
    gan = GAN(config)
    if config.init_from:
        begin_from_model(gan)
    for step, seconds in train_to_marks(gan, data, marks, FLAGS.seconds):
        rows.add(
            **key,
            step=step,
            seconds=round(seconds, 3),
            distance=pictures.distance(gan, FLAGS.samples),
            network=pictures.network.name,
        )


def write_table(rows: Rows) -> None:
    """Writes the distances at the marks, and the time to the lowest distance that random weights reach.

    This time is given as a share of the time that random weights took.
    """
    steps = sorted({row["step"] for row in rows.matching(**common_key())})
    lines = []
    for way in ways():
        runs = {seed: rows.matching(**common_key(), way=way, seed=seed) for seed in range(FLAGS.seeds)}
        distances = [
            spread(row["distance"] for row in rows.matching(**common_key(), way=way, step=step)) for step in steps
        ]
        shares = []
        for seed, run in runs.items():
            scratch = rows.matching(**common_key(), way=SCRATCH, seed=seed)
            soon = [row for row in run if row["distance"] <= min(row["distance"] for row in scratch)] if scratch else []
            if soon:
                lowest = min(scratch, key=lambda row: row["distance"])
                shares.append(soon[0]["seconds"] / max(lowest["seconds"], 1e-9))
        lines.append((way, sum(map(bool, runs.values())), *distances, f"{spread(shares)} ({len(shares)} of them)"))
    rows.write_table(
        ("Begun from", "Seeds", *(f"step {step:,}" for step in steps), "Time to scratch's lowest, share of its time"),
        lines,
    )


def run() -> None:
    tf.config.experimental.enable_op_determinism()
    rows = Rows(FLAGS.results, (*common_key(), "way", "seed", "step"))
    data = {name: value for name, value in parse_settings(FLAGS.set).items() if name in DATA_SETTINGS}
    pictures = open_pictures(data, FLAGS.samples)
    for seed in range(FLAGS.seeds):
        for way in ways():
            key = {**common_key(), "way": way, "seed": seed}
            if not rows.has_run(ascending(FLAGS.steps)[-1], FLAGS.seconds, **key):
                train_and_measure(pictures, rows, key)
                write_table(rows)
    write_table(rows)


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.transfer")
