"""images: draws a grid of images, or writes one file per image."""

import math
import pathlib

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.cli.actions.shifts import define_shift_flag, find_shift, parse_shifts
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.drawing.panels import caption_tiles
from dcgan_tf.errors import UserError


def define_flags() -> None:
    common.define_source_flags()
    flags.DEFINE_integer("num", 64, "Number of images, with seeds from --seed on.")
    flags.DEFINE_integer("seed", 0, "Seed of the first image. The same seed always gives the same image.")
    flags.DEFINE_float(
        "psi", 1.0, "Scale of the latents. 1: as in training. Lower values give more typical, less diverse images."
    )
    define_shift_flag()
    flags.DEFINE_string(
        "label", "", "Class of the images of a conditional run: its name or number. Default: one class per row."
    )
    flags.DEFINE_boolean("separate", False, "Write one file per image, <seed>.png, instead of a grid.")
    flags.DEFINE_boolean("show_seeds", False, "Write the seed below each image of the grid.")
    common.define_out_flag(
        "", "PNG file of the grid; with --separate, a folder. Default: samples.png, or the folder samples."
    )


def run() -> None:
    source = common.find_source(needs_images=FLAGS.separate or FLAGS.show_seeds)
    common.at_least("num", 1)
    common.at_least("psi", 0)
    if not 0 <= FLAGS.seed <= common.MAX_SEED - FLAGS.num:
        raise UserError(f"--seed: expected from 0 to {common.MAX_SEED - FLAGS.num}. Received: {FLAGS.seed}")
    if FLAGS.separate and FLAGS.show_seeds:
        raise UserError("--show_seeds: with --separate, each file is named after its seed. Remove it")
    label = common.parse_label(source, FLAGS.label)
    shifts = parse_shifts(FLAGS.shift)
    out = _checked_out()

    generator = common.load(source)
    seeds = list(range(FLAGS.seed, FLAGS.seed + FLAGS.num))
    columns = math.ceil(math.sqrt(FLAGS.num))
    labels = None
    if source.config.label_count:
        rows = np.arange(FLAGS.num) // columns % source.config.label_count
        labels = rows if label is None else np.full(FLAGS.num, label)
    z = generator.latents(seeds, FLAGS.psi) + find_shift(source, generator, shifts)
    images = generator.decode(z, labels)
    out.parent.mkdir(parents=True, exist_ok=True)
    if FLAGS.separate:
        out.mkdir(exist_ok=True)
        for seed, image in zip(seeds, images, strict=True):
            save_png(image, out / f"{seed:08d}.png", sheet=False)
    elif source.config.draws_points:
        from dcgan_tf.drawing.scatter import draw_scatter

        save_png(draw_scatter(images, source.config.dataset), out)
    elif FLAGS.show_seeds:
        save_png(caption_tiles(images, [str(seed) for seed in seeds], columns), out)
    else:
        save_png(make_grid(images, columns), out)
    kind = "point" if source.config.draws_points else "image"
    what = f"1 {kind}" if FLAGS.num == 1 else f"{FLAGS.num} {kind}s"
    shown_seeds = f"seed {seeds[0]}" if FLAGS.num == 1 else f"seeds {seeds[0]} to {seeds[-1]}"
    print(f"Wrote {what} of step {generator.step}, {shown_seeds}, to {out}")


def _checked_out() -> pathlib.Path:
    if not FLAGS.separate:
        return common.png_path(FLAGS.out or "samples.png")
    out = pathlib.Path(FLAGS.out or "samples")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out: expected a folder with --separate. Received the file '{out}'")
    return out
