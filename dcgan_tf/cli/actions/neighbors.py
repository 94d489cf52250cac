"""neighbors: shows the training images nearest to each sample, to see whether the generator repeats them."""

import numpy as np
from absl import flags

from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.panels import caption_tiles


def define_flags() -> None:
    common.define_source_flags()
    common.define_data_flags()
    flags.DEFINE_integer("num", 6, "Number of samples, with seeds from --seed on.")
    flags.DEFINE_integer("seed", 0, "Seed of the first sample.")
    flags.DEFINE_integer("count", 5, "Number of training images per sample.")
    common.define_label_flag()
    common.define_out_flag("neighbors.png", "PNG file to write.")


def run() -> None:
    source = common.find_source()
    for name in ("num", "count"):
        common.at_least(name, 1)
    seeds = common.parse_seeds(f"{FLAGS.seed}-{FLAGS.seed + FLAGS.num - 1}", flag="seed")
    out = common.png_path(FLAGS.out)
    label = common.required_label(source)
    config = common.data_config(source)

    generator = common.load(source)
    from dcgan_tf.evaluation.memorization import images_to_search, nearest_training_images
    from dcgan_tf.evaluation.splits import open_split

    data = open_split(config, config.split)
    images = generator.sample(seeds, labels=generator.repeat_label(label, len(seeds)))
    total = len(data.images)
    read, rows = images_to_search(data.read, np.arange(total), total, mirrored=config.flip)
    found = nearest_training_images(images, read, rows, FLAGS.count, "searching the training images")
    tiles, captions = [], []
    for seed, image, distances, neighbors in zip(seeds, images, found.distances, found.rows, strict=True):
        tiles += [image, *read(neighbors)]
        captions += [f"seed {seed}", *(f"{distance:.2f}" for distance in distances)]
    out.parent.mkdir(parents=True, exist_ok=True)
    save_png(caption_tiles(np.stack(tiles), captions, 1 + found.rows.shape[1]), out)
    searched = f"{total} training images" + " and their mirror images" * config.flip
    print(
        f"Wrote {len(seeds)} samples, each with the nearest of {searched}, to {out}. The distances "
        f"are Euclidean, over pixels from 0 to 1; the smallest is {found.distances[:, 0].min():.2f}"
    )
