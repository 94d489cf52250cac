"""filters: what the discriminator responds to, compared with random weights (the DCGAN paper's figure 5)."""

from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.drawing.panels import join_panels

if TYPE_CHECKING:
    import keras


def define_flags() -> None:
    common.define_source_flags()
    common.define_data_flags()
    flags.DEFINE_integer(
        "features", 6, "Number of features to show, one per row: the most active ones of the last hidden layer."
    )
    flags.DEFINE_integer("images", 4, "Number of real images per feature: those that excite it most.")
    flags.DEFINE_integer(
        "candidates", 1000, "Number of real images to choose from, spread evenly over the training images."
    )
    common.define_out_flag("filters.png", "PNG file to write.")


def run() -> None:
    source = common.find_source()
    for name in ("features", "images", "candidates"):
        common.at_least(name, 1)
    out = common.png_path(FLAGS.out)
    config = common.data_config(source)

    generator = common.load(source)
    from dcgan_tf.evaluation.splits import open_split, spread_rows
    from dcgan_tf.generation.attention import require_single_images
    from dcgan_tf.models.configured import configured_discriminator

    trained = require_single_images(generator.discriminator, config.pack)
    data = open_split(config, config.split)
    images = data.read(spread_rows(len(data.images), FLAGS.candidates))
    random = configured_discriminator(config, seed=config.seed + 1)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_png(join_panels([*_draw(trained, images, "trained"), *_draw(random, images, "random weights")]), out)
    print(f"Wrote first filters and guided backpropagation, trained and with random weights, to {out}")


def _draw(discriminator: "keras.Model", images: np.ndarray, kind: str) -> list[tuple[str, np.ndarray]]:
    from dcgan_tf.generation.attention import (
        first_filters,
        guided_backpropagation,
        last_features,
        stretch,
        strongest_images,
    )

    features = last_features(discriminator)
    strongest = strongest_images(features, images, FLAGS.features, FLAGS.images)
    columns = strongest.images.shape[1]
    shown = images[strongest.images.ravel()]
    guided = guided_backpropagation(features, shown, np.repeat(strongest.features, columns))
    return [
        (f"{kind}:\nfirst filters", make_grid(first_filters(discriminator), columns=4)),
        ("real images,\none row per feature", make_grid(shown, columns)),
        ("guided\nbackpropagation", make_grid(stretch(guided), columns)),
    ]
