"""Compares evaluated runs: python -m dcgan_tf compare runs/000-mnist runs/001-mnist --out=comparison"""

import pathlib

from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.errors import UserError

ARGUMENTS = "RUN [RUN ...]"
FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_path("out", "comparison", "Folder for comparison.png and comparison.html.")


def run(run_dirs: list[str]) -> None:
    if not run_dirs:
        raise UserError("expected folders of evaluated runs, such as runs/000-mnist runs/001-mnist")

    from dcgan_tf.evaluation.comparison import format_groups, group_runs, read_run, write_figure, write_page

    groups = group_runs([read_run(run_dir) for run_dir in run_dirs])
    print(format_groups(groups))
    out = pathlib.Path(FLAGS.out)
    out.mkdir(parents=True, exist_ok=True)
    figure = write_figure(groups, out / "comparison.png")
    print(f"\nWrote {figure}\n      {write_page(groups, out / 'comparison.html')}")
