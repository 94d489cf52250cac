"""Measures how good a generator becomes in a fixed time.

This program: python -m dcgan_tf quality --dataset=mnist --results=quality.jsonl

Another program: python -m dcgan_tf quality --results=quality.jsonl --name=mine --program="python mine.py"

Its samples alone: python -m dcgan_tf quality --results=quality.jsonl --name=mine --minutes=5 --samples=samples.npy

docs/benchmark.md has the rules. Each row is saved at once, and the same command continues with those that are missing.
"""

import os
import pathlib

from absl import flags

from dcgan_tf import notices
from dcgan_tf.cli import command_line
from dcgan_tf.cli.benchmark import NOT_MEASURED
from dcgan_tf.config.making import make_config
from dcgan_tf.errors import UserError

CORES = 2
DEFAULT_MINUTES = ("2", "5", "15")

FLAGS = flags.FLAGS


def define_flags() -> None:
    # The length belongs to the schedule of the learning rates, so it can be set.
    command_line.define_config_flags(leave_out=tuple(name for name in NOT_MEASURED if name not in ("steps", "epochs")))
    command_line.define_path(
        "results", "", "File of the rows, a JSON object per line. The table is written next to it."
    )
    flags.DEFINE_list("minutes", list(DEFAULT_MINUTES), "Minutes of training after which to judge, ascending.")
    flags.DEFINE_string("name", "", "Name in the table. Default: dcgan_tf, for this program.")
    flags.DEFINE_string(
        "program",
        "",
        "Command of another program, to which --images, --minutes, --seed and --out are added. docs/benchmark.md says "
        "what it is to write.",
    )
    command_line.define_path("samples", "", "File of samples to judge, made by another program in --minutes.")


def run() -> None:
    config = make_config(command_line.typed_config_values())
    minutes = _parse_minutes()
    if not FLAGS.results or not pathlib.Path(FLAGS.results).parent.is_dir():
        raise UserError(f"--results: expected a file in an existing folder. Received: '{FLAGS.results}'")
    if FLAGS.program and FLAGS.samples:
        raise UserError("--program and --samples: give one of them")
    if (FLAGS.program or FLAGS.samples) and not FLAGS.name:
        raise UserError("--name: name the program in the table")
    if FLAGS.samples and len(minutes) > 1:
        raise UserError("--minutes: give the one number of minutes in which --samples were made")
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)  # Before TensorFlow counts them; other programs inherit it.

    notices.import_tensorflow()
    from dcgan_tf.benchmarking.quality import OURS, Entry, Results, format_results, run_quality

    results = Results(pathlib.Path(FLAGS.results))
    run_quality(Entry(FLAGS.name or OURS, FLAGS.program, FLAGS.samples), config, minutes, results)
    print(f"\n{format_results(results.rows.values())}\nWrote {results.write_table()}")


def _parse_minutes() -> list[float]:
    try:
        minutes = [float(text) for text in FLAGS.minutes]
    except ValueError:
        minutes = []
    if not minutes or minutes != sorted(set(minutes)) or minutes[0] <= 0 or minutes[-1] == float("inf"):
        raise UserError(f"--minutes: expected ascending numbers such as 2,5,15. Received: {','.join(FLAGS.minutes)}")
    return minutes
