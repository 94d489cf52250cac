"""sweep: moves one image along one direction at a time."""

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.cli.actions.shifts import find_directions
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.panels import label_rows
from dcgan_tf.errors import UserError


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    flags.DEFINE_string(
        "directions",
        "1,2,3,4,5",
        "Directions, one per row: principal directions of the first hidden layer by number, named vectors by name.",
    )
    flags.DEFINE_integer("seed", 0, "Seed of the image in the middle.")
    flags.DEFINE_float("extent", 3.0, "Distance to both sides, in standard deviations of a latent.")
    flags.DEFINE_integer("columns", 9, "Number of images per row.")
    common.define_label_flag()
    common.define_out_flag("sweep.png", "PNG file to write.")


def run() -> None:
    source = common.find_source()
    names = [name.strip() for name in FLAGS.directions.split(",")]
    [seed] = common.parse_seeds(str(FLAGS.seed), flag="seed")
    common.at_least("columns", 2)
    if not 0 < FLAGS.extent <= 100:
        raise UserError(f"--extent: expected above 0 and at most 100. Received: {FLAGS.extent}")
    out = common.png_path(FLAGS.out)
    label = common.required_label(source)

    generator = common.load(source)
    directions = find_directions(source, generator, names)
    positions = np.linspace(-FLAGS.extent, FLAGS.extent, FLAGS.columns, dtype=np.float32)
    z = generator.latents([seed]) + positions[None, :, None] * directions[:, None]
    z = z.reshape(-1, generator.latent_dim)
    images = generator.decode(z, generator.repeat_label(label, len(z)))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_png(label_rows(images, names, [f"{position:+.1f}" for position in positions]), out)
    print(f"Wrote seed {seed} moved along {', '.join(names)} to {out}")
