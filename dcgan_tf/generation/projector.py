"""Files for TensorBoard's projector: points in many dimensions, with a picture and a label each."""

import pathlib

import numpy as np

from dcgan_tf import files
from dcgan_tf.drawing.grids import save_png

FOLDER = "projector"
CONFIG_FILE = "projector_config.pbtxt"
# TensorBoard cuts the sheet into tiles by their size, and browsers take pictures of up to this many pixels a side.
MAX_SHEET = 8192


def write_projector(
    directory: pathlib.Path,
    tensors: dict[str, np.ndarray],
    images: np.ndarray,
    metadata: dict[str, list[str]],
) -> None:
    """Writes tensors, metadata and sprite sheet, and last the configuration that names them.

    Args:
        directory: of event files, or any other that TensorBoard is pointed to.
        tensors: name -> float [N, dimensions]; each may be chosen on the page.
        images: uint8 [N, height, width, 1 or 3], of the points.
        metadata: name -> N words; the first is shown first.
    """
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    folder = directory / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    save_png(make_sprite(images), folder / "sprite.png")
    rows = ["\t".join(metadata), *("\t".join(row) for row in zip(*metadata.values(), strict=True))]
    _write(folder / "metadata.tsv", rows)
    config = ProjectorConfig()
    for name, values in tensors.items():
        _write(folder / f"{name}.tsv", ["\t".join(f"{number:.6g}" for number in row) for row in values])
        embedding = config.embeddings.add()
        embedding.tensor_name = name
        embedding.tensor_path = f"{FOLDER}/{name}.tsv"
        embedding.metadata_path = f"{FOLDER}/metadata.tsv"
        embedding.sprite.image_path = f"{FOLDER}/sprite.png"
        embedding.sprite.single_image_dim.extend([images.shape[2], images.shape[1]])
    _write(directory / CONFIG_FILE, [text_format.MessageToString(config).rstrip()])


def make_sprite(images: np.ndarray) -> np.ndarray:
    """Images uint8 [N, height, width, 1 or 3] row by row without a margin, as many rows as columns, the rest white."""
    count, height, width, channels = images.shape
    side = int(np.ceil(np.sqrt(count)))
    filled = np.full((side * side, height, width, channels), 255, np.uint8)
    filled[:count] = images
    return filled.reshape(side, side, height, width, channels).swapaxes(1, 2).reshape(side * height, side * width, -1)


def _write(path: pathlib.Path, lines: list[str]) -> None:
    files.write_text(path, "\n".join(lines) + "\n")
