"""walk: draws smooth transitions through nine random points (the DCGAN paper's figure 4)."""

from absl import flags

from dcgan_tf.cli.actions import common, moving
from dcgan_tf.cli.actions.common import FLAGS

POINTS = 9


def define_flags() -> None:
    common.define_source_flags()
    flags.DEFINE_integer("seed", 0, "Seed of the first of the nine points; the others have the eight following seeds.")
    flags.DEFINE_integer(
        "steps",
        9,
        "Number of steps from each point to the next, one row per transition. The last returns to the first.",
    )
    moving.define_fps_flag()
    common.define_label_flag()
    common.define_out_flag("walk.png", "A .png file with one row per transition, or a .gif or .mp4 file.")


def run() -> None:
    source = common.find_source()
    common.at_least("steps", 1)
    seeds = common.parse_seeds(f"{FLAGS.seed}-{FLAGS.seed + POINTS - 1}", flag="seed")
    out = moving.path_file(FLAGS.out)
    label = common.required_label(source)

    generator = common.load(source)
    images = generator.interpolate(seeds, FLAGS.steps, closed=True, label=label)
    moving.save_path(images, FLAGS.steps, True, out)
    print(f"Wrote a walk through the seeds {seeds[0]} to {seeds[-1]} and back to the first to {out}")
