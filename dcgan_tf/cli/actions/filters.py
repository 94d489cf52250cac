"""filters: what the discriminator looks at, beside one with random weights (the DCGAN paper's figure 5)."""

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
    flags.DEFINE_integer("features", 6, "Features of the last hidden layer, those that answer most; a row each.")
    flags.DEFINE_integer("images", 4, "Real images of each, those that it answers to most.")
    flags.DEFINE_integer("candidates", 1000, "Real images to choose from, evenly spread over the training images.")
    common.define_out_flag("filters.png", "The PNG file.")


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
