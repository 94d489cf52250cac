"""Measures how good a generator becomes in a fixed time.

dcgan_tf itself: python -m dcgan_tf quality --dataset=mnist --results=quality.jsonl

Another program: python -m dcgan_tf quality --results=quality.jsonl --name=mine --program="python mine.py"

Only its samples: python -m dcgan_tf quality --results=quality.jsonl --name=mine --minutes=5 --samples=samples.npy

docs/benchmark.md has the rules. Each result is saved immediately. The same command continues with the missing ones.
"""

import os
import pathlib
from typing import Any

from absl import flags

from dcgan_tf import notices, progress
from dcgan_tf.cli import command_line
from dcgan_tf.cli.benchmark import NOT_MEASURED
from dcgan_tf.config.making import make_config
from dcgan_tf.config.sections.length import MAX_STEPS
from dcgan_tf.errors import UserError

CORES = 2
DEFAULT_MINUTES = ("2", "5", "15")
# A program gets neither labels nor trained weights.
AGAINST_THE_RULES = ("conditional", "init_from", "freeze_discriminator")

FLAGS = flags.FLAGS


def define_flags() -> None:
    # A schedule of the learning rates may depend on the length of the run, so the length can be set.
    fixed = (name for name in NOT_MEASURED if name not in ("steps", "epochs"))
    command_line.define_config_flags(leave_out=(*fixed, *AGAINST_THE_RULES))
    command_line.define_path(
        "results", "", "File for the results, one JSON object per line. A Markdown table is written next to it."
    )
    flags.DEFINE_list(
        "minutes", list(DEFAULT_MINUTES), "Minutes of training after which samples are judged, ascending."
    )
    flags.DEFINE_string("name", "", "Name in the table. Default: dcgan_tf, for this program.")
    flags.DEFINE_string(
        "program",
        "",
        "Command of another program, to which --images, --minutes, --seed and --out are added. docs/benchmark.md says "
        "what it must write.",
    )
    command_line.define_path("samples", "", "File of samples to judge, which another program made in --minutes.")


def run() -> None:
    config = make_config(with_length(command_line.typed_config_values()))
    minutes = _parse_minutes()
    if not FLAGS.results or not pathlib.Path(FLAGS.results).parent.is_dir():
        raise UserError(f"--results: expected a file in an existing folder. Received: '{FLAGS.results}'")
    if pathlib.Path(FLAGS.results).suffix != ".jsonl":
        raise UserError(f"--results: expected a file that ends in .jsonl. Received: '{FLAGS.results}'")
    if FLAGS.program and FLAGS.samples:
        raise UserError("--program and --samples: give one of them")
    if (FLAGS.program or FLAGS.samples) and not FLAGS.name:
        raise UserError("--name: name the program for the table")
    if FLAGS.samples and len(minutes) > 1:
        raise UserError("--minutes: give a single number, the minutes in which --samples were made")
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("this benchmark restricts programs to two cores, which only Linux supports. Run it on Linux")
    # Before TensorFlow counts the cores and the GPUs. Other programs inherit the choice.
    os.sched_setaffinity(0, _choose_cores())
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

    notices.import_tensorflow()
    from dcgan_tf.benchmarking.quality import OURS, Entry, Results, format_results, run_quality

    results = Results(pathlib.Path(FLAGS.results))
    run_quality(Entry(FLAGS.name or OURS, FLAGS.program, FLAGS.samples), config, minutes, results)
    print(f"\n{format_results(results.rows.values())}\nWrote {results.write_table()}")


def with_length(typed: dict[str, Any]) -> dict[str, Any]:
    """The typed settings. Unless they say how long to train, only the clock ends the training."""
    return typed if typed.keys() & {"steps", "epochs"} else typed | {"steps": MAX_STEPS}


def _choose_cores() -> list[int]:
    """Two logical processors, of different cores if possible."""
    available = os.sched_getaffinity(0)
    cores = [cpu for cpu in sorted(available) if cpu == min(_threads_of_its_core(cpu) & available)]
    if len(available) < CORES:
        raise UserError(f"expected {CORES} cores, on which all programs run. Available: {len(available)}")
    if len(cores) < CORES:
        progress.logger.warning("The two processors are threads of one core: do not compare with rows of two cores.")
    return [*cores, *sorted(available - {*cores})][:CORES]


def _threads_of_its_core(cpu: int) -> set[int]:
    try:
        text = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text()
    except OSError:  # In a container that hides it
        return {cpu}
    ranges = (part.split("-") for part in text.strip().split(","))
    return {thread for bounds in ranges for thread in range(int(bounds[0]), int(bounds[-1]) + 1)}


def _parse_minutes() -> list[float]:
    try:
        minutes = [float(text) for text in FLAGS.minutes]
    except ValueError:
        minutes = []
    if not minutes or minutes != sorted(set(minutes)) or not all(0 < mark < float("inf") for mark in minutes):
        raise UserError(f"--minutes: expected ascending numbers such as 2,5,15. Received: {','.join(FLAGS.minutes)}")
    return minutes
