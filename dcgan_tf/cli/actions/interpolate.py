"""interpolate: transitions from one seed's image to the next, as a strip, a GIF or a video."""

from absl import flags

from dcgan_tf.cli.actions import common, moving
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.cli.actions.shifts import define_shift_flag, find_shift, parse_shifts


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
    flags.DEFINE_boolean("closed", False, "Return to the first seed at the end, so that a GIF or video loops smoothly.")
    flags.DEFINE_float(
        "psi", 1.0, "Scale of the latents. 1: as in training. Lower values give more typical, less diverse images."
    )
    moving.define_fps_flag()
    define_shift_flag()
    common.define_label_flag()
    common.define_out_flag(
        "interpolation.png", "A .png file for a strip with one row per transition, or a .gif or .mp4 file."
    )


def run() -> None:
    source = common.find_source()
    seeds = common.parse_seeds(FLAGS.seeds, at_least=2)
    common.at_least("steps", 1)
    common.at_least("psi", 0)
    out = moving.path_file(FLAGS.out)
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
    moving.save_path(images, FLAGS.steps, FLAGS.closed, out)
    print(f"Wrote {len(images)} images through the seeds {', '.join(map(str, seeds))} to {out}")
