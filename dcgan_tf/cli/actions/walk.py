"""walk: draws smooth transitions through nine random points (the DCGAN paper's figure 4)."""

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.drawing.grids import make_grid, save_png

POINTS = 9


def define_flags() -> None:
    common.define_source_flags()
    flags.DEFINE_integer("seed", 0, "Seed of the first of the nine points; the others have the eight following seeds.")
    flags.DEFINE_integer(
        "steps",
        9,
        "Number of steps from each point to the next, one row per transition. The last returns to the first.",
    )
    common.define_label_flag()
    common.define_out_flag("walk.png", "PNG file to write.")


def run() -> None:
    source = common.find_source()
    common.at_least("steps", 1)
    seeds = common.parse_seeds(f"{FLAGS.seed}-{FLAGS.seed + POINTS - 1}", flag="seed")
    out = common.png_path(FLAGS.out)
    label = common.required_label(source)

    generator = common.load(source)
    from dcgan_tf.generation.paths import path_rows

    images = generator.interpolate(seeds, FLAGS.steps, closed=True, label=label)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_png(make_grid(path_rows(np.concatenate([images, images[:1]]), FLAGS.steps), FLAGS.steps + 1), out)
    print(f"Wrote a walk through the seeds {seeds[0]} to {seeds[-1]} and back to the first to {out}")
