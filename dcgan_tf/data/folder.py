"""A folder or a zip archive of pictures as a source: flat, nested, or with one folder per class."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data.headers import HeaderFacts, Opener
from dcgan_tf.data.listing import list_pictures
from dcgan_tf.data.pictures import (
    BadPictureError,
    Limits,
    NamedPicture,
    load_picture,
    open_picture,
)
from dcgan_tf.data.processes import run_in_processes
from dcgan_tf.data.shards import Result, Shard, ShardWork
from dcgan_tf.data.store import Store
from dcgan_tf.data.tree import is_sheet
from dcgan_tf.errors import printable

# Number of pictures that are opened to find out whether all have the same size.
COMMON_SIZE_SAMPLE = 100


@dataclasses.dataclass(frozen=True)
class FolderSource(HeaderFacts):
    """Pictures below one folder, in the order of their names.

    Attributes:
        full_name: ``folder/<name of the folder>``.
        class_names: Names of the labels 0, 1, ...; empty if there are none.
        fingerprint: Changes with the files and their labels.
        root: The folder. In an archive, its path begins with that of the archive.
        store: Where the folder lies.
        names: Paths of the pictures, relative to the root.
        labels: The class of each picture; -1 if there are no classes.
        limits: Larger pictures count as bad.
        notes: One line for each thing that was left out or does not match.
    """

    full_name: str
    class_names: tuple[str, ...]
    fingerprint: str
    root: pathlib.Path
    store: Store
    names: tuple[str, ...]
    labels: tuple[int, ...]
    limits: Limits
    notes: tuple[str, ...] = ()

    def _openers(self) -> Iterator[Opener]:
        return (functools.partial(self._open, name) for name in self.names)

    def _sampled_openers(self) -> Iterator[Opener]:
        sample = {round(i) for i in np.linspace(0, len(self.names) - 1, min(len(self.names), COMMON_SIZE_SAMPLE))}
        return (functools.partial(self._open, self.names[index]) for index in sample)

    def _open(self, name: str) -> Image.Image:
        return _refuse_sheet(open_picture(self.store.picture(self.root / name, self.limits), self.limits))

    def count_if_known(self) -> int | None:
        """The number of pictures, which is always known."""
        return len(self.names)

    def prepare(self) -> None:
        """Does nothing: the pictures are already there."""

    def count(self) -> int:
        """The number of pictures."""
        return len(self.names)

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Runs `work` on each shard, in parallel on all cores, and yields the results in any order."""

        def job(shard: Shard) -> functools.partial[Result]:
            part = slice(shard.first, shard.stop)
            folder = (self.root, self.store, self.names[part], self.labels[part], self.limits)
            return functools.partial(_work_on_files, work, shard, *folder)

        return run_in_processes([job(shard) for shard in shards])


def find_folder(config: Config) -> FolderSource:
    """Lists the pictures of a split of ``config.data_dir``; raises UserError as `list_pictures` does."""
    listing = list_pictures(config)
    return FolderSource(
        full_name=f"folder/{printable(listing.root.resolve().name)}",
        class_names=listing.class_names,
        fingerprint=listing.fingerprint,
        root=listing.root,
        store=listing.store,
        names=listing.names,
        labels=listing.labels,
        limits=Limits.of(config),
        notes=listing.notes,
    )


def _work_on_files(
    work: ShardWork[Result],
    shard: Shard,
    root: pathlib.Path,
    store: Store,
    names: Sequence[str],
    labels: Sequence[int],
    limits: Limits,
) -> Result:
    return work(
        shard,
        (
            NamedPicture(printable(name), label, functools.partial(_load, root / name, store, limits))
            for name, label in zip(names, labels, strict=True)
        ),
    )


def _load(path: pathlib.Path, store: Store, limits: Limits) -> Image.Image:
    return _refuse_sheet(load_picture(store.picture(path, limits), limits))


def _refuse_sheet(picture: Image.Image) -> Image.Image:
    if is_sheet(picture):
        raise BadPictureError("a sheet that this program made")
    return picture
