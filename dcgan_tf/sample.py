"""Makes images with a trained generator: python -m dcgan_tf.sample --run_dir=runs/000-mnist --num=64 --out=grid.png"""

import math
import pathlib

import numpy as np
from absl import flags

from dcgan_tf import command_line, runs
from dcgan_tf.errors import UserError

LARGEST_SEED = 2**63

RUN_DIR = flags.DEFINE_string("run_dir", "", "Folder of the run to sample from.")
CHECKPOINT = flags.DEFINE_string("checkpoint", "best", "best, latest, or a step that has a checkpoint.")
NUM = flags.DEFINE_integer("num", 64, "How many images, of the seeds --seed, --seed + 1, and so on.")
SEED = flags.DEFINE_integer("seed", 0, "Seed of the first image. The same seed always gives the same image.")
OUT = flags.DEFINE_string(
    "out", "", "The PNG file of the grid; with --separate, a folder. Default: samples.png, or the folder samples."
)
LABEL = flags.DEFINE_string(
    "label", "", "Class of the images of a conditional run: its name or number. Default: a row of the grid each."
)
SEPARATE = flags.DEFINE_boolean("separate", False, "Write one file an image, <seed>.png, in place of a grid.")


def main() -> None:
    run = runs.load_run(RUN_DIR.value)
    if NUM.value < 1:
        raise UserError(f"--num: expected at least 1. Received: {NUM.value}")
    if SEPARATE.value and run.config.draws_points:
        raise UserError(f"--separate: the samples of {run.config.dataset} are points. Leave it out for a scatter plot")
    if not 0 <= SEED.value <= LARGEST_SEED - NUM.value:
        raise UserError(f"--seed: expected from 0 to {LARGEST_SEED - NUM.value}. Received: {SEED.value}")
    label = _parse_label(run)
    out = pathlib.Path(OUT.value or ("samples" if SEPARATE.value else "samples.png")).expanduser()
    if SEPARATE.value and out.exists() and not out.is_dir():
        raise UserError(f"--out: expected a folder with --separate. Received the file '{out}'")
    if not SEPARATE.value and out.suffix.lower() != ".png":
        raise UserError(f"--out: expected a file that ends in .png, or --separate and a folder. Received: '{out}'")

    from dcgan_tf.checkpoints import load_gan
    from dcgan_tf.grids import make_grid, save_png
    from dcgan_tf.sampling import generate
    from dcgan_tf.scatter import draw_scatter

    gan, step = load_gan(run, CHECKPOINT.value)
    seeds = range(SEED.value, SEED.value + NUM.value)
    columns = math.ceil(math.sqrt(NUM.value))
    labels = None
    if run.config.label_count:
        rows = np.arange(NUM.value) // columns % run.config.label_count
        labels = rows if label is None else np.full(NUM.value, label)
    images = generate(gan.ema_generator, seeds, labels)
    if SEPARATE.value:
        out.mkdir(parents=True, exist_ok=True)
        for seed, image in zip(seeds, images, strict=True):
            save_png(image, out / f"{seed:08d}.png")
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        draws_points = run.config.draws_points
        save_png(draw_scatter(images, run.config.dataset) if draws_points else make_grid(images, columns), out)
    kind = "points" if run.config.draws_points else "images"
    print(f"Wrote {NUM.value} {kind} of step {step}, seeds {seeds[0]} to {seeds[-1]}, to {out}")


def _parse_label(run: runs.Run) -> int | None:
    names = run.config.class_names[: run.config.label_count]
    if not LABEL.value:
        return None
    if not names:
        raise UserError(f"--label: the run in '{run.directory}' is not conditional. Leave it out")
    if LABEL.value in names:
        return names.index(LABEL.value)
    if LABEL.value.isascii() and LABEL.value.isdigit() and int(LABEL.value) < len(names):
        return int(LABEL.value)
    raise UserError(
        f"--label: expected a class ({', '.join(names[:10])}{', ...' if len(names) > 10 else ''}) or a number from 0 "
        f"to {len(names) - 1}. Received: {LABEL.value!r}"
    )


if __name__ == "__main__":
    command_line.run(main)
