"""project: finds the latent whose image is closest to a picture."""

import dataclasses
import pathlib
from typing import NamedTuple

import numpy as np
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.config.settings import Config
from dcgan_tf.data.colors import is_gray
from dcgan_tf.data.pictures import BadPictureError, Recipe, load_picture, make_row, memory_for
from dcgan_tf.drawing.grids import make_grid, save_png, to_rgb
from dcgan_tf.drawing.panels import join_panels
from dcgan_tf.errors import UserError


def define_flags() -> None:
    common.define_source_flags()
    common.define_vectors_flag()
    command_line.define_path("image", "", "The picture to project.")
    flags.DEFINE_boolean("resize", False, "Crop, resize and convert a picture of another size or with other channels.")
    flags.DEFINE_integer("steps", 300, "Number of optimization steps.")
    flags.DEFINE_integer("restarts", 8, "Number of latents to optimize in parallel. The best one is shown.")
    flags.DEFINE_integer("seed", 0, "Seed of the initial latents.")
    flags.DEFINE_float(
        "feature_weight",
        0.1,
        "Weight of the distance in the discriminator's features, relative to pixels. 0: pixels only.",
    )
    flags.DEFINE_string("name", "", "Save the latent as a vector of this name.")
    common.define_label_flag()
    common.define_out_flag("projection.png", "PNG file to write.")


def run() -> None:
    source = common.find_source()
    for name, least in (("steps", 1), ("restarts", 1), ("feature_weight", 0)):
        common.at_least(name, least)
    if not 0 <= FLAGS.seed < 2**31:
        raise UserError(f"--seed: expected from 0 to {2**31 - 1}. Received: {FLAGS.seed}")
    out = common.png_path(FLAGS.out)
    label = common.required_label(source)
    picture = load_picture_to_project(pathlib.Path(FLAGS.image), source.config, FLAGS.resize)

    generator = common.load(source)
    if FLAGS.name:  # Fails before the work, not after it
        from dcgan_tf.generation.vectors import refuse_bad_name

        refuse_bad_name(FLAGS.name)
        common.open_vectors(source, generator)
    found = generator.project(
        picture.image,
        steps=FLAGS.steps,
        restarts=FLAGS.restarts,
        seed=FLAGS.seed,
        feature_weight=FLAGS.feature_weight,
        label=label,
    )
    if picture.cut:
        print(picture.cut)
    print(
        f"The pixels differ by {found.median_pixel_error:g} of 255 gray levels (median), and on a scale from 0 to 1 by "
        f"{found.pixel_distance:.4f} (root mean square). The features' mean squared difference is "
        f"{found.feature_distance:.4f} of their mean square. The latent's length is {np.linalg.norm(found.z):.1f} "
        f"(typical: {generator.latent_dim**0.5:.1f})"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    save_png(draw_projection(picture.image, found.image), out)
    print(f"Wrote picture, projection and difference to {out}")
    if FLAGS.name:
        from dcgan_tf.generation.vectors import Vector, changing_vectors

        path = common.vectors_path(source)
        with changing_vectors(path, generator.digest, generator.latent_dim) as file:
            file.add(FLAGS.name, Vector(found.z, f"projection of {pathlib.Path(FLAGS.image).name}", label=label))
        print(f"Saved as '{FLAGS.name}' in {path}")


class PictureToProject(NamedTuple):
    """A picture in the format of a generator's images.

    Attributes:
        image: uint8 [height, width, channels].
        cut: A sentence that says which part of the file this is; empty if ``crop_size`` left out nothing.
    """

    image: np.ndarray
    cut: str


def draw_projection(image: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """Draws two images uint8 [height, width, channels] and their difference: uint8 [height, width, 3]."""
    tiles = {"picture": to_rgb(image), "projection": to_rgb(projection)}
    tiles["difference"] = np.abs(tiles["projection"].astype(int) - tiles["picture"]).astype(np.uint8)
    return join_panels([(name, make_grid(tile[None])) for name, tile in tiles.items()])


def load_picture_to_project(path: pathlib.Path, config: Config, resize: bool) -> PictureToProject:
    """Reads a picture in the format of the generator's images.

    Args:
        path: The picture.
        config: Complete settings, with the image size and the channels.
        resize: Whether to crop, resize and convert the picture as training does. Otherwise, a picture that does not fit
            is refused. Pictures that already have the size of the images are not cropped.

    Raises:
        UserError: The file cannot be read, or does not fit.
    """
    if not path.is_file():
        raise UserError(f"--image: expected a picture. Received: '{path}'")
    crop = "center" if config.crop == "random" else config.crop
    recipe = Recipe.of(dataclasses.replace(config, crop=crop))
    try:
        with memory_for(path):
            picture = load_picture(path, recipe.limits)
            fits = (picture.height, picture.width) == config.sample_shape[:2]
            row = make_row(picture, dataclasses.replace(recipe, crop_size=0) if fits else recipe)
    except BadPictureError as error:
        raise UserError(f"--image: '{path}' cannot be used: {error}") from None
    height, width, channels = config.sample_shape
    if not (resize or fits):
        raise UserError(
            f"--image: expected {height}x{width} pixels (height x width). Received: {picture.height}x{picture.width}. "
            "To crop and resize it, add --resize"
        )
    if not resize and is_gray(picture) != (channels == 1):
        raise UserError(
            f"--image: expected {'gray' if channels == 1 else 'color'}. Received: the mode {picture.mode}. To "
            "convert it, add --resize"
        )
    side = recipe.crop_size
    if fits or not side or max(picture.size) <= side:
        return PictureToProject(row, "")
    used = f"{min(side, picture.height)}x{min(side, picture.width)}"
    return PictureToProject(
        row,
        f"Only the central {used} of its {picture.height}x{picture.width} pixels (height x width) are used, as in "
        f"training (crop_size={side}). To use more of them, make the picture smaller first.",
    )
