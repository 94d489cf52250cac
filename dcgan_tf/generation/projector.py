"""Files for TensorBoard's projector: points in many dimensions, each with a picture and a label."""

import pathlib

import numpy as np

from dcgan_tf import files
from dcgan_tf.drawing.grids import save_png

FOLDER = "projector"
CONFIG_FILE = "projector_config.pbtxt"
# Maximum side of the sprite sheet in pixels, because browsers do not accept larger pictures.
MAX_SHEET = 8192


def write_projector(
    directory: pathlib.Path,
    tensors: dict[str, np.ndarray],
    images: np.ndarray,
    metadata: dict[str, list[str]],
) -> None:
    """Writes tensors, metadata and sprite sheet, and finally the configuration that refers to them.

    Args:
        directory: A folder that TensorBoard reads, such as that of the event files.
        tensors: Name -> float [N, dimensions]. The user selects one of them on the page.
        images: uint8 [N, height, width, channels], the pictures of the points.
        metadata: Name -> N words. TensorBoard shows the first entry by default.
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
    """A square sheet of images uint8 [N, height, width, channels], row by row without margins, filled with white."""
    count, height, width, channels = images.shape
    side = int(np.ceil(np.sqrt(count)))
    filled = np.full((side * side, height, width, channels), 255, np.uint8)
    filled[:count] = images
    return filled.reshape(side, side, height, width, channels).swapaxes(1, 2).reshape(side * height, side * width, -1)


def _write(path: pathlib.Path, lines: list[str]) -> None:
    files.write_text(path, "\n".join(lines) + "\n")
