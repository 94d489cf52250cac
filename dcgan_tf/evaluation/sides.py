"""Opens the two sides of an evaluation: pictures, arrays, data sets, runs, exports or saved statistics."""

import contextlib
import dataclasses
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from dcgan_tf import files, progress
from dcgan_tf.config.plan import format_size
from dcgan_tf.config.settings import Config
from dcgan_tf.data.arrays import ARRAY, ArraySource, open_array
from dcgan_tf.data.folder import find_folder
from dcgan_tf.data.listing import SPLIT_NAMES
from dcgan_tf.data.prepare import cache_root, open_images, resolve
from dcgan_tf.data.sources import Source, find_source
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.sets import ImageSet
from dcgan_tf.evaluation.splits import random_rows
from dcgan_tf.evaluation.statistics import SavedStatistics, is_statistics, load_statistics
from dcgan_tf.generation.generator import Generator, load_generator
from dcgan_tf.generation.source import GRAPH_FILE, pretrained_names, versions_in
from dcgan_tf.metrics.arrays import random_order
from dcgan_tf.runs.run_directory import CONFIG_FILE

KINDS = (
    "a folder or .zip file of pictures, an .npy or .npz file with an array uint8 [N, height, width, channels], the "
    "folder of a run or of an export, or a data set and its split such as mnist:test"
)


@dataclasses.dataclass(frozen=True)
class SideOptions:
    """How the sides are opened.

    Attributes:
        num: Number of images to generate, and at most as many to use from a file. None: 10,000, and all of a file's.
        seed: Seed of the first generated image.
        checkpoint: Checkpoint of a run.
        image_size: Size of the real pictures, in pixels; ``auto`` for their own.
        crop_size: Side of the centered square that is cut from each real picture first; 0 for none.
        resize: Whether to resize the pictures of one side to the size of the other.
        folders: ``data_dir``, ``manual_dir`` and ``cache_dir``, if they are given.
    """

    num: int | None = None
    seed: int = 0
    checkpoint: str = "best"
    image_size: str = "auto"
    crop_size: int = 0
    resize: bool = False
    folders: dict[str, Any] = dataclasses.field(default_factory=dict)


GENERATED_BY_DEFAULT = 10_000


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """Pictures that are not prepared yet, and the settings that open them."""

    source: Source
    config: Config


def open_sides(generated: str, real: str, options: SideOptions) -> tuple[ImageSet, ImageSet | SavedStatistics]:
    """Opens the generated and the real images.

    Saved statistics and generators determine the size of the images; of two sets of pictures, the real one does.

    Args:
        generated, real: What the user named, one of `KINDS`; ``real`` may also be a file of saved statistics.
        options: How to open them.

    Raises:
        UserError: A side is none of these, or the sides have different sizes.
    """
    found = {"real": _find("real", real, options), "generated": _find("generated", generated, options)}
    if not isinstance(found["real"], _Pictures):
        for setting in ("image_size", "crop_size"):
            if getattr(options, setting) != getattr(SideOptions(), setting):
                raise UserError(f"`{setting}` has no effect on '{real}', which has a size of its own: remove it")
    sides: dict[str, ImageSet | SavedStatistics] = {}
    shape: tuple[int, ...] | None = None
    for name in sorted(found, key=lambda name: isinstance(found[name], _Pictures)):
        sides[name] = _open(name, found[name], shape, options)
        shape = shape or sides[name].shape
        if sides[name].shape != shape:
            raise UserError(
                f"`generated` and `real`: the images have different sizes, {_by(sides[name].shape)} and {_by(shape)} "
                "(height x width x channels), and neither side can be resized"
            )
    judged = sides["generated"]
    if isinstance(judged, SavedStatistics):
        raise UserError(f"`generated`: '{generated}' holds the statistics of real images. Expected {KINDS}")
    return judged, sides["real"]


def _find(side: str, text: str, options: SideOptions) -> "_Pictures | Generator | SavedStatistics":
    """What the text names, with its pictures still unread."""
    path = pathlib.Path(text).expanduser()
    config = dataclasses.replace(Config(), batch_size=2, **options.folders)
    if side == "real":
        config = dataclasses.replace(config, image_size=options.image_size, crop_size=options.crop_size)
    if path.is_file() and path.suffix in (".npy", ".npz"):
        if is_statistics(path):
            return load_statistics(path)
        return _Pictures(_read_array(side, path), dataclasses.replace(config, dataset=ARRAY))
    if path.is_file() and path.suffix == ".zip":
        return _find_folder(side, path, config)
    if path.is_dir():
        # Folders of pictures may have the names of classes, such as 0 to 9, which could also be those of versions.
        folders = (path, *versions_in(path))
        is_generator = (path / CONFIG_FILE).is_file() or any((folder / GRAPH_FILE).is_file() for folder in folders)
        # The absolute path, because the generator that ships with the package could have the same name.
        return _load(side, str(path.absolute()), options) if is_generator else _find_folder(side, path, config)
    if text in pretrained_names():
        if side == "real":
            raise UserError(
                f"`real`: '{text}' is the generator that ships with the package. Name a split, as in {text}:test"
            )
        return _load(side, text, options)
    named = re.fullmatch(r"([^:\[\]]+(?::[0-9.]+)?):([A-Za-z].*)", text)
    if named and not path.exists():
        config = dataclasses.replace(config, dataset=named[1], split=named[2])
        return _Pictures(find_source(config), config)
    raise UserError(f"`{side}`: expected {KINDS}. Received: '{text}'")


def _load(side: str, text: str, options: SideOptions) -> Generator:
    generator = load_generator(text, options.checkpoint)
    if generator.config.draws_points:
        raise UserError(f"`{side}`: expected images. '{text}' makes points")
    return generator


def _find_folder(side: str, folder: pathlib.Path, config: Config) -> _Pictures:
    config = dataclasses.replace(config, dataset="folder", data_dir=str(folder))
    with blaming_side(side):
        source = find_folder(config)
    if source.root != folder and source.root.name.lower() in SPLIT_NAMES:
        way = "Unpack it, and name the folder of" if folder.is_file() else "Name"
        raise UserError(f"`{side}`: '{folder}' holds splits. {way} one of them, such as '{source.root}'")
    return _Pictures(source, config)


def _read_array(side: str, path: pathlib.Path) -> ArraySource:
    """The images of a file, and the labels of a .npz file that has some."""
    labels = None
    try:
        if path.suffix == ".npy":
            images = np.load(path, mmap_mode="r", allow_pickle=False)
        else:
            arrays = files.read_arrays(path)
            # numpy.savez calls its first two arrays arr_0 and arr_1.
            images = arrays["images"] if "images" in arrays else arrays["arr_0"]
            labels = arrays.get("labels", None if "images" in arrays else arrays.get("arr_1"))
            if labels is not None and "labels" not in arrays and labels.ndim != 1:
                raise UserError(f"it has several arrays ({', '.join(arrays)}). Name that of the images 'images'")
        return open_array(images, labels)
    except KeyError:
        raise UserError(f"`{side}`: '{path}' holds no array 'images' or 'arr_0'") from None
    except UserError as error:
        raise UserError(f"`{side}`: '{path}': {error}") from None
    except (ValueError, EOFError) as error:
        raise UserError(f"`{side}`: '{path}' is damaged or holds no array: {files.reason(error)}") from None


def _open(
    side: str, found: "_Pictures | Generator | SavedStatistics", shape: tuple[int, ...] | None, options: SideOptions
) -> "ImageSet | SavedStatistics":
    if isinstance(found, SavedStatistics):
        if options.num not in (None, len(found)):
            raise UserError(
                f"`num={options.num}`: the statistics in '{found.path}' are of {len(found):,} images. Use that number, "
                "or make them again"
            )
        return found
    if isinstance(found, Generator):
        return _of_generator(found, options)
    return _of_pictures(side, found, shape, options)


def _of_generator(generator: Generator, options: SideOptions) -> ImageSet:
    count, classes = options.num or GENERATED_BY_DEFAULT, len(generator.class_names)
    # Equally many images of each class, in random order.
    labels = random_order(count, key=0) % classes if classes else None
    name = (
        f"generator {generator.digest}, step {generator.step}, seeds {options.seed} to {options.seed + count - 1}"
        f"{', all classes equally often' * bool(classes)}"
    )
    return ImageSet.of_generator(generator.network, generator.config, options.seed, count, labels, name)


def _of_pictures(side: str, pictures: _Pictures, shape: tuple[int, ...] | None, options: SideOptions) -> ImageSet:
    source, config = pictures.source, pictures.config
    size = _own_size(source, config)
    if size is None and shape is None:
        raise UserError(f"`{side}`: the pictures have several sizes. Give the size to resize them to with `image_size`")
    if shape is not None and size != shape[:2] and not options.resize:
        received = _by(size) if size else "pictures of several sizes"
        raise UserError(
            f"`{side}`: expected pictures of {_by(shape[:2])} pixels (height x width), like those of the other side. "
            f"Received: {received}. Use `resize=True` to resize them"
        )
    if shape is not None:
        size = shape[0], shape[1]
    assert size is not None
    channels = shape[2] if shape is not None else source.channels
    if channels != source.channels:
        kind = "gray (luma of ITU-R 601)" if channels == 1 else "RGB"
        progress.logger.info(f"The pictures of the {side} side are converted to {kind}, like those of the other side.")
    with blaming_side(side):
        config = dataclasses.replace(config, image_size=format_size(*size), channels=str(channels))
        config = resolve(config, source)
        data = open_images(config, source)
    rows = random_rows(len(data.images), options.num or len(data.images))
    name = f"{data.source}{f' [{config.split}]' * (config.dataset not in (ARRAY, 'folder'))}"
    name += f", {len(rows):,} of {len(data.images):,} images of {_by((*size, channels))}, digest {data.digest}"
    config = dataclasses.replace(config, data_digest=data.digest)
    return ImageSet.of_data(data, rows, cache_root(config) / "features", name=name, config=config)


def _own_size(source: Source, config: Config) -> tuple[int, int] | None:
    """The size of pictures once they are prepared as the user asked; None if they have several sizes."""
    if config.image_size != "auto":
        return config.height_and_width
    if config.crop_size:
        return config.crop_size, config.crop_size
    return (source.height, source.width) if source.height and source.width else None


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


@contextlib.contextmanager
def blaming_side(side: str) -> Iterator[None]:
    """Makes errors about a folder mention the side for which the folder was given."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("`data_dir`", f"`{side}`")) from None
