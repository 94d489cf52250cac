"""interpolate: transitions from one seed's image to the next, as a strip or a GIF."""

import pathlib

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.cli.actions.shifts import define_shift_flag, find_shift, parse_shifts
from dcgan_tf.drawing.grids import make_grid, save_animation, save_png
from dcgan_tf.errors import UserError


def define_flags() -> None:
    common.define_source_flags()
    flags.DEFINE_string("seeds", "0,1", "Two or more seeds, such as 3,17,40-42.")
    flags.DEFINE_integer("steps", 8, "Number of steps from each seed to the next.")
    flags.DEFINE_enum(
        "path",
        "spherical",
        ["spherical", "linear"],
        "Path between latents. spherical: along great circles. linear: along straight lines.",
    )
    flags.DEFINE_boolean("closed", False, "Return to the first seed at the end, so that a GIF loops without a jump.")
    flags.DEFINE_float(
        "psi", 1.0, "Scale of the latents. 1: as in training. Lower values give more typical, less diverse images."
    )
    flags.DEFINE_float(
        "fps", 10.0, "Images per second of a GIF, from 0.1 to 50. GIFs measure time in hundredths of a second."
    )
    define_shift_flag()
    common.define_label_flag()
    common.define_out_flag("interpolation.png", "A .png file for a strip with one row per transition, or a .gif file.")


def run() -> None:
    source = common.find_source()
    seeds = common.parse_seeds(FLAGS.seeds, at_least=2)
    common.at_least("steps", 1)
    common.at_least("psi", 0)
    if not 0.1 <= FLAGS.fps <= 50:
        raise UserError(f"--fps: expected from 0.1 to 50. Received: {FLAGS.fps}")
    out = pathlib.Path(FLAGS.out)
    if out.suffix.lower() not in (".png", ".gif") or out.is_dir():
        raise UserError(f"--out: expected a file that ends in .png or .gif. Received: '{out}'")
    if out.suffix.lower() == ".png" and FLAGS["fps"].present:
        raise UserError("--fps: a PNG file does not move. Remove it, or use an --out that ends in .gif")
    shifts = parse_shifts(FLAGS.shift)
    label = common.required_label(source)

    generator = common.load(source)
    images = generator.interpolate(
        seeds,
        FLAGS.steps,
        spherical=FLAGS.path == "spherical",
        closed=FLAGS.closed,
        psi=FLAGS.psi,
        shift=find_shift(source, generator, shifts),
        label=label,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".gif":
        save_animation(images, FLAGS.fps, out)
    else:
        from dcgan_tf.generation.paths import path_rows

        path = np.concatenate([images, images[:1]]) if FLAGS.closed else images
        save_png(make_grid(path_rows(path, FLAGS.steps), FLAGS.steps + 1), out)
    print(f"Wrote {len(images)} images through the seeds {', '.join(map(str, seeds))} to {out}")
