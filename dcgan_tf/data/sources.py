"""Sources of images: folders of pictures, bundled MNIST, TensorFlow Datasets, and data made on the fly."""

import dataclasses
import difflib
import functools
import importlib.util
import itertools
import os
import pathlib
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data.arrays import ARRAY
from dcgan_tf.data.bundled import BUNDLED_MNIST, find_mnist
from dcgan_tf.data.folder import find_folder
from dcgan_tf.data.locks import locked
from dcgan_tf.data.parquet import find_parquet, parquet_files
from dcgan_tf.data.pictures import NamedPicture
from dcgan_tf.data.points import find_points
from dcgan_tf.data.shards import Result, Shard, ShardWork
from dcgan_tf.data.stacked import find_stacked_mnist
from dcgan_tf.data.store import DISK
from dcgan_tf.data.tree import find_picture
from dcgan_tf.errors import UnknownSplitError, UserError
from dcgan_tf.paths import in_home

NETWORK_CHECK_SECONDS = 5
READ_BATCH = 256
TFDS_FOLDERS = frozenset({"downloads"})  # TensorFlow Datasets may keep its own pictures there.
FOLDERS_SEARCHED = 1000  # `data_dir` may be a whole disk.
# Packages that TensorFlow Datasets imports only after it has downloaded everything.
PACKAGES_OF_DATA_SETS = {"svhn_cropped": "scipy", "lsun": "tensorflow_io"}


class Source(Protocol):
    """A data set that is known, but not necessarily on disk yet.

    Attributes:
        full_name: Name and version, such as ``mnist/3.0.1``.
        height, width: Size of every image in pixels; None if the sizes differ.
        channels: 1, 3 or 4.
        class_names: Names of the labels 0, 1, ...; empty if there are none.
        fingerprint: Changes with the images; part of the key of the prepared data.
        notes: One line for each thing that was left out or does not match.
    """

    @property
    def full_name(self) -> str: ...
    @property
    def height(self) -> int | None: ...
    @property
    def width(self) -> int | None: ...
    @property
    def channels(self) -> int: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...

    def count_if_known(self) -> int | None:
        """The number of images in the split, or None if the data set has never been prepared."""

    def prepare(self) -> None:
        """Makes sure that the data set is on disk; raises UserError if it is not available."""

    def count(self) -> int:
        """The number of images in the split. Call `prepare` first."""

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Runs `work` on each shard and yields the results in any order."""


@dataclasses.dataclass(frozen=True)
class TfdsSource:
    """A data set of TensorFlow Datasets, with the attributes of `Source`."""

    full_name: str
    height: int | None
    width: int | None
    channels: int
    class_names: tuple[str, ...]
    _builder: Any
    _config: Config
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        return self.full_name

    def count(self) -> int:
        """The number of images in the split. Call `prepare` first."""
        try:
            return self._builder.info.splits[self._config.split].num_examples
        except (KeyError, ValueError) as error:
            raise UnknownSplitError(
                f"`split`: {self._config.dataset} has no split {self._config.split!r}. "
                f"Expected one of: {', '.join(self._builder.info.splits)}, or a part such as train[:5000] "
                f"({_first_line(error)})"
            ) from None

    def count_if_known(self) -> int | None:
        """The number of images in the split, or None if the data set has never been prepared."""
        return self.count() if self._builder.is_prepared() else None

    def prepare(self) -> None:
        """Makes sure that the data set is on disk. Files in `data_dir` or `manual_dir` are not downloaded again.

        Raises:
            UserError: There is no network, a file is damaged, or the disk is full.
        """
        if self._builder.is_prepared():
            return
        manual_dir = _manual_dir(self._config)
        for name, package in PACKAGES_OF_DATA_SETS.items():
            if self._builder.name == name and not importlib.util.find_spec(package):
                raise UserError(
                    f"`dataset={self._config.dataset}`: TensorFlow Datasets needs the package {package} to read its "
                    f"files. Install it with: pip install {package.replace('_', '-')}"
                )
        missing = [
            url
            for url, url_info in self._builder.url_infos.items()
            if not (manual_dir and url_info.filename and (manual_dir / url_info.filename).is_file())
        ]
        if missing:
            _check_network(missing[0], self._config.dataset)
        root = pathlib.Path(self._builder.data_dir).parents[self.full_name.count("/")]
        # TFDS fails if two processes prepare the same data set, even for different splits.
        with locked(root / self._builder.name, "data_dir"):
            if self._builder.is_prepared():
                self._builder.info.read_from_directory(self._builder.data_dir)
            else:
                self._download_and_prepare(root / "downloads", manual_dir if not missing else None)

    def _download_and_prepare(self, download_dir: pathlib.Path, complete_dir: pathlib.Path | None) -> None:
        """Lets TFDS prepare the data set; ``complete_dir`` is the folder that holds all original files, if any."""
        import tensorflow as tf
        import tensorflow_datasets as tfds
        from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

        try:
            # TFDS caches extracted files by name only, and MNIST and Fashion-MNIST use the same names. In a common
            # folder, the second would silently get the images of the first.
            self._builder.download_and_prepare(
                download_dir=download_dir / self._builder.name,
                download_config=tfds.download.DownloadConfig(manual_dir=_manual_dir(self._config)),
            )
        except NonMatchingChecksumError as error:
            where = complete_dir or download_dir
            raise UserError(
                f"`dataset={self._config.dataset}`: a file in '{where}' is damaged or not the original: "
                f"{_first_line(error)} Replace it with the original and repeat"
            ) from None
        except tf.errors.OpError as error:
            raise UserError(
                f"`data_dir`: cannot prepare {self._config.dataset} in '{self._builder.data_dir}': {_first_line(error)}"
            ) from None
        except AssertionError as error:
            raise UserError(
                f"`dataset={self._config.dataset}`: its files must be downloaded by hand. Give their folder with "
                f"`manual_dir`: {_first_line(error)}"
            ) from None

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Runs `work` on each shard in turn and yields the results."""
        pictures = self._pictures()
        position = 0
        for shard in shards:
            for _ in range(shard.first - position):
                next(pictures)
            position = shard.stop
            yield work(shard, itertools.islice(pictures, shard.stop - shard.first))

    def _pictures(self) -> Iterator[NamedPicture]:
        """Yields the pictures of the split, always in the same order."""
        import tensorflow_datasets as tfds

        dataset = self._builder.as_dataset(
            split=self._config.split,
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        )
        dataset = dataset.map(lambda example: (example["image"], example["label"] if self.class_names else -1))
        number = 0
        # Images of one size are passed in batches: passing them one by one costs more than decoding them.
        for images, labels in tfds.as_numpy(dataset.batch(READ_BATCH if self.height and self.width else 1)):
            for image, label in zip(images, labels, strict=True):
                pixels = image[:, :, 0] if self.channels == 1 else image
                name = f"{self.full_name}/{self._config.split}/{number}"
                yield NamedPicture(name, int(label), functools.partial(Image.fromarray, pixels))
                number += 1


def find_source(config: Config) -> Source:
    """Looks up ``config.dataset`` without preparing it.

    Raises:
        UserError: There is no such data set, or it has no images of one or three channels.
    """
    if config.dataset == "folder":
        return find_folder(config)
    if config.dataset == "parquet":
        return find_parquet(config)
    if config.dataset == ARRAY:
        raise UserError(
            "the images of this run were passed in by a program. Continue it with dcgan_tf.train(images, run_dir=...)"
        )
    if config.draws_points:
        return find_points(config)
    if config.dataset == "stacked_mnist":
        return find_stacked_mnist(config, find_source)
    if config.dataset == "mnist" and not config.data_dir and not config.manual_dir:
        return find_mnist(config)
    name = config.dataset
    if name[:1] in ("/", ".", "~"):
        raise UserError(f"`dataset`: expected the name of a data set. Received: {name!r}. {_folder_hint(name)}")
    if config.data_dir and not config.data_rules:  # A resumed run already knows its data.
        _refuse_pictures(config)
    if not config.data_dir and not os.environ.get("TFDS_DATA_DIR"):
        in_home("tensorflow_datasets", "data_dir")  # Without a home folder, TFDS writes to a folder named "~".
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=config.data_dir or None)
    except (tfds.core.registered.DatasetNotFoundError, ValueError, ImportError, AssertionError) as error:
        known = tfds.list_builders(with_community_datasets=False)
        if name.split("/")[0].split(":")[0] in known:
            raise UserError(f"`dataset`: cannot use {name!r}: {_first_line(error)}") from None
        if data_set_at(pathlib.Path(name)):
            raise UserError(f"`dataset`: unknown data set {name!r}. {_folder_hint(name)}") from None
        near = difflib.get_close_matches(name, known, n=3) or ["mnist", "fashion_mnist", "cifar10"]
        raise UserError(
            f"`dataset`: unknown data set {name!r}. Similar names are: {', '.join(near)}. "
            "Expected a name from https://www.tensorflow.org/datasets/catalog; or folder or parquet for your own "
            "pictures"
        ) from None
    features = builder.info.features
    image = dict(features.items()).get("image")
    if not isinstance(image, tfds.features.Image) or image.shape[-1] not in (1, 3):
        raise UserError(
            f"`dataset`: expected a data set with an 'image' of 1 or 3 channels. {name!r} has: {', '.join(features)}"
        )
    has_classes = "label" in features and isinstance(features["label"], tfds.features.ClassLabel)
    return TfdsSource(
        full_name=builder.info.full_name,
        height=image.shape[0],
        width=image.shape[1],
        channels=image.shape[-1],
        class_names=tuple(features["label"].names or ()) if has_classes else (),
        _builder=builder,
        _config=config,
    )


def data_set_at(path: pathlib.Path) -> str:
    """The value of `dataset` for the pictures at a path: folder (also for an archive), parquet, or empty if neither."""
    if path.is_dir():
        return "parquet" if not find_picture(path) and parquet_files(path) else "folder"
    return {".zip": "folder", ".parquet": "parquet"}.get(path.suffix, "") if path.is_file() else ""


def _folder_hint(folder: str) -> str:
    dataset = data_set_at(pathlib.Path(folder).expanduser()) or "folder"
    place = "in a folder" if dataset == "folder" else "in parquet files"
    return f"To train on the pictures {place}, use `dataset={dataset}` `data_dir={shlex.quote(folder)}`"


def _refuse_pictures(config: Config) -> None:
    """Refuses to keep a data set among pictures, because ``dataset="folder"`` was probably forgotten."""
    path = pathlib.Path(config.data_dir).expanduser()
    if path.is_file():
        raise UserError(
            f"`data_dir`: expected the folder of `dataset={config.dataset}`. Received the file '{config.data_dir}'. "
            f"{_folder_hint(config.data_dir)}"
        )
    picture = find_picture(path, DISK, TFDS_FOLDERS, FOLDERS_SEARCHED)
    if picture:
        raise UserError(
            f"`data_dir`: '{config.data_dir}' holds pictures, such as {picture!r}, but `dataset={config.dataset}` is "
            "another data set. To train on the pictures, add `dataset=folder`; otherwise name another folder, or set "
            "TFDS_DATA_DIR"
        )


def _manual_dir(config: Config) -> pathlib.Path | None:
    if not config.manual_dir:
        return BUNDLED_MNIST if config.dataset.split(":")[0] == "mnist" else None
    manual_dir = pathlib.Path(config.manual_dir).expanduser()
    if not manual_dir.is_dir():
        raise UserError(f"`manual_dir`: expected a folder with the data set's files. Received: '{config.manual_dir}'")
    return manual_dir


def _check_network(url: str, dataset: str) -> None:
    """Raises UserError at once if the network is unreachable; TFDS itself would retry for minutes."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=NETWORK_CHECK_SECONDS).close()
    except urllib.error.HTTPError:
        pass  # The server answered, which is enough; it may not support HEAD.
    except OSError as error:
        raise UserError(
            f"`dataset={dataset}`: it is not on disk, and {url} cannot be reached ({getattr(error, 'reason', error)}). "
            "Connect to the network; or set `manual_dir` to a folder with its original files, or `data_dir` to a "
            "folder in which TFDS has already prepared it"
        ) from None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split(os.linesep)[0]
