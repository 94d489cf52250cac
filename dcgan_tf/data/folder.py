"""A folder of pictures as a source: flat, nested, or with one folder per class."""

import contextlib
import dataclasses
import functools
import multiprocessing.context
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data.listing import list_pictures
from dcgan_tf.data.pictures import (
    BadPictureError,
    Limits,
    NamedPicture,
    is_gray,
    load_picture,
    open_picture,
    upright_size,
)
from dcgan_tf.data.shards import Result, Shard, ShardWork
from dcgan_tf.data.tree import is_sheet
from dcgan_tf.errors import UserError, printable

# Number of pictures that are opened to find out whether all have the same size.
COMMON_SIZE_SAMPLE = 100


@dataclasses.dataclass(frozen=True)
class FolderSource:
    """Pictures below one folder, in the order of their names.

    Attributes:
        full_name: ``folder/<name of the folder>``.
        class_names: Names of the labels 0, 1, ...; empty if there are none.
        fingerprint: Changes with the files and their labels.
        root: The folder.
        names: Paths of the pictures, relative to the root.
        limits: Larger pictures count as bad.
        notes: One line for each thing that was left out or does not match.
    """

    full_name: str
    class_names: tuple[str, ...]
    fingerprint: str
    root: pathlib.Path
    names: tuple[str, ...]
    limits: Limits
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def _common_size(self) -> tuple[int | None, int | None]:
        sizes = set()
        sample = {round(i) for i in np.linspace(0, len(self.names) - 1, min(len(self.names), COMMON_SIZE_SAMPLE))}
        for index in sample:
            with contextlib.suppress(BadPictureError), self._open(self.names[index]) as picture:
                sizes.add(upright_size(picture))
        return sizes.pop() if len(sizes) == 1 else (None, None)

    @property
    def height(self) -> int | None:
        """The common height of the upright pictures in pixels, or None if they differ."""
        return self._common_size[0]

    @property
    def width(self) -> int | None:
        """The common width of the upright pictures in pixels, or None if they differ."""
        return self._common_size[1]

    @functools.cached_property
    def channels(self) -> int:
        """1 if every picture is gray, else 3. Reads headers until it finds a picture in color."""
        for name in self.names:
            with contextlib.suppress(BadPictureError), self._open(name) as picture:
                if not is_gray(picture):
                    return 3
        return 1

    def _open(self, name: str) -> Image.Image:
        return _refuse_sheet(open_picture(self.root / name, self.limits))

    def count_if_known(self) -> int | None:
        """The number of pictures, which is always known."""
        return len(self.names)

    def prepare(self) -> None:
        """Does nothing: the pictures are already there."""

    def count(self) -> int:
        """The number of pictures."""
        return len(self.names)

    def label(self, name: str) -> int:
        """The class of a picture; -1 if there are no classes."""
        return self.class_names.index(name.split(os.sep)[0]) if self.class_names else -1

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Runs `work` on each shard, in parallel on all cores, and yields the results in any order."""
        workers = min(len(os.sched_getaffinity(0)), len(shards)) or 1
        try:
            pool: Executor = ProcessPoolExecutor(workers, _Context(), _start_worker, initargs=(os.getpid(),))
        except OSError:  # Processes need locks, and those need a writable /dev/shm.
            pool = ThreadPoolExecutor(1)
        with pool:
            try:
                jobs = []
                for shard in shards:
                    names = self.names[shard.first : shard.stop]
                    labels = [self.label(name) for name in names]
                    jobs.append(pool.submit(_work_on_files, work, shard, self.root, names, labels, self.limits))
                for job in as_completed(jobs):
                    yield job.result()
            except BrokenProcessPool:
                raise UserError(
                    "a process that decoded pictures was killed, perhaps because memory ran out. Repeat the command "
                    "to continue"
                ) from None
            finally:
                pool.shutdown(cancel_futures=True)


def find_folder(config: Config) -> FolderSource:
    """Lists the pictures of a split of ``config.data_dir``; raises UserError as `list_pictures` does."""
    listing = list_pictures(config)
    return FolderSource(
        full_name=f"folder/{printable(listing.root.resolve().name)}",
        class_names=listing.class_names,
        fingerprint=listing.fingerprint,
        root=listing.root,
        names=listing.names,
        limits=Limits.of(config),
        notes=listing.notes,
    )


_STARTING = threading.Lock()


class _Process(multiprocessing.context.SpawnProcess):
    """A process that does not run the program's main script, which would start the training again in each process."""

    def start(self) -> None:
        main = vars(sys.modules["__main__"])
        with _STARTING:  # Two threads that hide and restore the script at once could lose it.
            script: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
            main.update(dict.fromkeys(script))
            try:
                super().start()
            finally:
                main.update(script)


class _Context(multiprocessing.context.SpawnContext):
    """Starts new processes instead of forking: a fork would break the threads that TensorFlow has started."""

    Process = _Process


def _start_worker(parent: int) -> None:
    """Leaves Ctrl-C, which reaches every process of a terminal, to the parent, and ends when the parent ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent passes its own number, because it may have been killed before this process could ask for it.
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _work_on_files(
    work: ShardWork[Result], shard: Shard, root: pathlib.Path, names: Sequence[str], labels: list[int], limits: Limits
) -> Result:
    return work(
        shard,
        (
            NamedPicture(printable(name), label, functools.partial(_load, root / name, limits))
            for name, label in zip(names, labels, strict=True)
        ),
    )


def _load(path: pathlib.Path, limits: Limits) -> Image.Image:
    return _refuse_sheet(load_picture(path, limits))


def _refuse_sheet(picture: Image.Image) -> Image.Image:
    if is_sheet(picture):
        raise BadPictureError("a sheet that this program made")
    return picture
