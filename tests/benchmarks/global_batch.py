"""What the global batch does to quality: python -m tests.benchmarks.global_batch --results=FILE [--set=dataset=...]

Trains with batches of 64, 256 and 1,024 on the same number of images. The learning rate stays the same, grows with the
square root of the batch size, or grows with the batch size. The moving average always spans the same number of images.
Measures the Frechet distance to images that were not trained on. Rows are written as they are measured, so an
interrupted command continues with the first run that is not complete. These two commands take about 70 minutes on two
cores that nothing else uses:

    python -m tests.benchmarks.global_batch --results=batch-mnist.jsonl --seeds=2 --images=256000 \\
        --rules=same,"square root"
    python -m tests.benchmarks.global_batch --results=batch-faces.jsonl --seeds=2 --images=128000 \\
        --rules=same,"square root" --set=dataset=folder --set=data_dir=celeba_10k --set=crop_size=80 \\
        --set=image_size=32 --set=flip=true
"""

import math
import sys

import tensorflow as tf
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from tests.benchmarks.few_pictures import Pictures, open_pictures
from tests.benchmarks.rows import Rows, ascending, spread, train_to_marks
from tests.benchmarks.settings import parse_settings
from tests.benchmarks.small_data import DATA_SETTINGS

FLAGS = flags.FLAGS

# Rule -> the factor of the learning rates for a batch that is so many times as large.
RULES = {"same": lambda _: 1.0, "square root": math.sqrt, "linear": lambda times: times}


def define_flags() -> None:
    flags.DEFINE_string("results", None, "File of the rows, one JSON object per line.", required=True)
    flags.DEFINE_list("batches", ["64", "256", "1024"], "Global batch sizes.")
    flags.DEFINE_list("rules", list(RULES), "Any of same, square root, linear.")
    flags.DEFINE_integer("images", 640_000, "Images that each run sees; a multiple of all batch sizes.")
    flags.DEFINE_integer("seeds", 1, "Number of training runs for each combination.")
    flags.DEFINE_integer("first_seed", 0, "Seed of the first of these runs.")
    flags.DEFINE_integer("samples", 5000, "Generated images, and most held-out ones.")
    flags.DEFINE_multi_string("set", [], "A setting as name=value; may be repeated.")


def scaled(batch: int, rule: str, typed: dict[str, object]) -> dict[str, object]:
    """The settings that follow the batch size, scaled from those of the configured batch size."""
    base = make_config({**typed})
    times = batch / base.batch_size
    factor = RULES[rule](times)
    return {
        "batch_size": batch,
        "steps": FLAGS.images // batch,
        "learning_rate_generator": base.learning_rate_generator * factor,
        "learning_rate_discriminator": base.learning_rate_discriminator * factor,
        "ema_decay": base.ema_decay**times,
    }


def train_and_measure(pictures: Pictures, rows: Rows, batch: int, rule: str, seed: int) -> None:
    from dcgan_tf.training.gan import GAN

    typed = {name: value for name, value in parse_settings(FLAGS.set).items() if name not in DATA_SETTINGS}
    settings = {"evaluate_every": 0, "seed": seed, **typed, **scaled(batch, rule, typed)}
    config, data = pictures.prepare_first(len(pictures.training_rows), settings)
    gan = GAN(config)
    key = {"batch": batch, "rule": rule, "seed": seed}
    # Halfway, too: a run that is unstable late may have been better before.
    for step, seconds in train_to_marks(gan, data, [config.steps // 2, config.steps]):
        distance = pictures.distance(gan, FLAGS.samples)
        rows.add(**key, images=step * batch, seconds=round(seconds, 1), distance=distance, is_last=step == config.steps)


def write_table(rows: Rows) -> None:
    """Writes means and standard deviations over the seeds, halfway and at the end."""
    lines = []
    for batch in ascending(FLAGS.batches):
        for rule in FLAGS.rules:
            cells = []
            for is_last in (False, True):
                found = rows.matching(batch=batch, rule=rule, is_last=is_last)
                cells.append(spread(row["distance"] for row in found))
            if any(cells):
                lines.append((batch, rule, len(found), FLAGS.images // batch, *cells))
    rows.write_table(("Batch", "Learning rates", "Seeds", "Steps", "Distance half-way", "Distance at the end"), lines)


def run() -> None:
    tf.config.experimental.enable_op_determinism()
    rows = Rows(FLAGS.results, ("batch", "rule", "seed", "images"))
    data = {name: value for name, value in parse_settings(FLAGS.set).items() if name in DATA_SETTINGS}
    pictures = open_pictures(data, FLAGS.samples)
    for seed in range(FLAGS.first_seed, FLAGS.first_seed + FLAGS.seeds):
        for batch in ascending(FLAGS.batches):
            # All rules are the same for the batch that they start from.
            for rule in FLAGS.rules if batch != ascending(FLAGS.batches)[0] else FLAGS.rules[:1]:
                if not rows.matching(batch=batch, rule=rule, seed=seed, is_last=True):
                    try:
                        train_and_measure(pictures, rows, batch, rule, seed)
                    except FloatingPointError as error:
                        print(f"batch {batch}, rates {rule}, seed {seed}: {error}", flush=True)
                    write_table(rows)


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.global_batch")
