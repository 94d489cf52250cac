"""Images that a program passes in: an array or a `tf.data.Dataset`."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dcgan_tf.data.pictures import NamedPicture
from dcgan_tf.data.shards import Result, Shard, ShardWork
from dcgan_tf.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

# The value of `dataset` in the configuration of a run that was trained on such images.
ARRAY = "array"
CHANNELS = (1, 3, 4)  # Gray, RGB, RGBA
MAX_CLASSES = 100_000


@dataclasses.dataclass(frozen=True)
class ArraySource:
    """A `Source` over images in memory, or over a `tf.data.Dataset` that is read from the start for each pass.

    Attributes:
        class_names: The class numbers as text; empty without labels.
    """

    height: int
    width: int
    channels: int
    class_names: tuple[str, ...]
    fingerprint: str
    _count: int
    _pairs: "Iterable[tuple[np.ndarray, int]]"
    full_name: str = ARRAY
    notes: tuple[str, ...] = ()

    def count_if_known(self) -> int:
        """The number of images, which is always known."""
        return self._count

    def prepare(self) -> None:
        """Does nothing: the images are already there."""

    def count(self) -> int:
        """The number of images."""
        return self._count

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Runs `work` on each shard in turn and yields the results."""
        pairs, position = iter(self._pairs), 0
        for shard in shards:
            for _ in range(shard.first - position):
                next(pairs)
            position = shard.stop
            yield work(shard, [self._picture(number, *next(pairs)) for number in range(shard.first, shard.stop)])

    def _picture(self, number: int, image: np.ndarray, label: int) -> NamedPicture:
        pixels = image[:, :, 0] if self.channels == 1 else image
        return NamedPicture(f"{self.full_name}/{number}", int(label), functools.partial(Image.fromarray, pixels))


@dataclasses.dataclass(frozen=True)
class AnonymousSource:
    """The shape and classes of images that a program passed in when the run began, without the images themselves."""

    height: int
    width: int
    channels: int
    class_names: tuple[str, ...]
    full_name: str = ARRAY


class _DatasetPairs:
    """The (image, label) pairs of a `tf.data.Dataset`. Each iteration starts from the beginning."""

    def __init__(self, dataset: "tf.data.Dataset") -> None:
        self._dataset = dataset

    def __iter__(self) -> Iterator[tuple[np.ndarray, int]]:
        for element in self._dataset.as_numpy_iterator():
            yield element if isinstance(element, tuple) else (element, -1)


def open_array(images: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> ArraySource:
    """Makes a source from an array.

    Args:
        images: uint8 [N, height, width, channels], with 1, 3 or 4 channels.
        labels: Integers [N], starting at 0, or None.

    Raises:
        UserError: The array has another type or shape, or the labels do not match it.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in CHANNELS or not len(images):
        hint = ". Add the axis of the channels: images[..., None]" if images.ndim == 3 else ""
        hint = hint or (". Scale them to 0..255 and convert: images.astype(np.uint8)" if images.ndim == 4 else "")
        raise UserError(
            "expected images as a uint8 array [N, height, width, channels] with 1, 3 or 4 channels. "
            f"Received: {images.dtype} {list(images.shape)}{hint}"
        )
    label_array = np.full(len(images), -1, np.int64) if labels is None else _checked_labels(labels, len(images))
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(label_array.tobytes())
    height, width, channels = images.shape[1:]
    return ArraySource(
        height,
        width,
        channels,
        class_names=_number_names(label_array.max() + 1),
        fingerprint=digest.hexdigest(),
        _count=len(images),
        _pairs=list(zip(images, label_array, strict=True)),
    )


def open_dataset(dataset: "tf.data.Dataset") -> ArraySource:
    """Makes a source from a `tf.data.Dataset`. Reads it once here, and again if its images are not prepared yet.

    Args:
        dataset: Images uint8 [height, width, channels], all of the same size, or pairs (image, label). A batched
            dataset is unbatched. It must be finite and keep its order, so that a run can resume on it.

    Raises:
        UserError: The elements are something else, or the dataset is empty.
    """
    specs: Any = dataset.element_spec
    image_spec = specs[0] if isinstance(specs, tuple) else specs
    if getattr(getattr(image_spec, "shape", None), "rank", None) == 4:
        dataset = dataset.unbatch()
    pairs = _DatasetPairs(dataset)
    digest, count, shape, largest_label = hashlib.sha256(), 0, None, -1
    for image, label in pairs:
        image = np.asarray(image)
        if (
            image.dtype != np.uint8
            or image.ndim != 3
            or image.shape[2] not in CHANNELS
            or image.shape != (shape or image.shape)
        ):
            raise UserError(
                "expected a dataset of uint8 images [height, width, channels], all of the same size, with 1, 3 or 4 "
                f"channels, or of pairs (image, label). Received as element {count}: {image.dtype} {list(image.shape)}"
            )
        shape = image.shape
        largest_label = max(largest_label, int(label))
        digest.update(image.tobytes() + np.int64(label).tobytes())
        count += 1
    if shape is None:
        raise UserError("expected a dataset of images. Received an empty one")
    height, width, channels = shape
    return ArraySource(
        height,
        width,
        channels,
        class_names=_number_names(largest_label + 1),
        fingerprint=digest.hexdigest(),
        _count=count,
        _pairs=pairs,
    )


def _checked_labels(labels: npt.ArrayLike, count: int) -> np.ndarray:
    array = np.asarray(labels)
    if array.shape != (count,) or array.dtype.kind not in "iu" or array.min() < 0:
        raise UserError(
            f"expected {count} labels, one per image, that are whole numbers from 0. Received: {array.dtype} "
            f"{list(array.shape)}"
        )
    return array.astype(np.int64)


def _number_names(count: int) -> tuple[str, ...]:
    if count > MAX_CLASSES:
        raise UserError(f"expected labels below {MAX_CLASSES:,}, numbered from 0. Received: {count - 1:,}")
    return tuple(str(number) for number in range(count))
