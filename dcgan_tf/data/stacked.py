"""Stacked MNIST (Metz et al. 2017, arXiv 1611.02163): three random digits as the colors of one image; 1,000 modes."""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data.pictures import NamedPicture
from dcgan_tf.data.shards import Result, Shard, ShardWork
from dcgan_tf.errors import UserError

if TYPE_CHECKING:
    from dcgan_tf.data.sources import Source

STACKS = 128_000  # As in VEEGAN (arXiv 1705.07761) and PacGAN (arXiv 1712.04086).
MAX_STACKS = 10_000_000
DATA_SEED = 0


@dataclasses.dataclass(frozen=True)
class StackedMnistSource:
    """A `Source` of stacks made from a source of digits. A longer split begins with the stacks of a shorter one."""

    full_name: str
    _digits: "Source"
    _count: int
    height: int | None = 28
    width: int | None = 28
    channels: int = 3
    notes: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(f"{number:03d}" for number in range(1000))

    @property
    def fingerprint(self) -> str:
        return f"{self.full_name} of {self._digits.fingerprint} by seed {DATA_SEED}"

    def count_if_known(self) -> int:
        """The number of stacks, which is always known."""
        return self._count

    def prepare(self) -> None:
        """Makes sure that the digits are on disk."""
        self._digits.prepare()

    def count(self) -> int:
        """The number of stacks in the split."""
        return self._count

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Runs `work` on each shard in turn and yields the results."""
        (digits,) = self._digits.map_shards(_load_digits, [Shard(0, self._digits.count())])
        images, labels = digits
        chance = np.random.Generator(np.random.Philox(DATA_SEED))
        triples = chance.integers(0, len(images), (self._count, 3))
        for shard in shards:
            yield work(shard, self._stacks(images, labels, triples, shard))

    def _stacks(
        self, images: np.ndarray, labels: np.ndarray, triples: np.ndarray, shard: Shard
    ) -> Iterator[NamedPicture]:
        for number in range(shard.first, shard.stop):
            triple = triples[number]
            stack = np.moveaxis(images[triple], 0, -1)
            label = int(labels[triple] @ [100, 10, 1])
            yield NamedPicture(f"{self.full_name}/{number}", label, functools.partial(Image.fromarray, stack))


def find_stacked_mnist(config: Config, find_source: "Callable[[Config], Source]") -> StackedMnistSource:
    """Builds the data set from MNIST's training or test split.

    Args:
        config: Its ``split`` is train or test, or train[:N] for a number of stacks other than 128,000.
        find_source: Looks up MNIST.

    Raises:
        UserError: The split is another one.
    """
    match = re.fullmatch(r"(train|test)(?:\[:(\d+)\])?", config.split)
    count = int(match[2] or STACKS) if match else 0
    if not match or not 2 <= count <= MAX_STACKS:
        raise UserError(
            f"`split`: expected train, test, or a number of stacks from 2 to {MAX_STACKS} such as train[:50000]. "
            f"Received: {config.split!r}"
        )
    digits = find_source(dataclasses.replace(config, dataset="mnist", split=match[1]))
    return StackedMnistSource("stacked_mnist", digits, count)


def _load_digits(_: Shard, pictures: Iterable[NamedPicture]) -> tuple[np.ndarray, np.ndarray]:
    digits = [(np.asarray(picture.load()), picture.label) for picture in pictures]
    return np.stack([image for image, _ in digits]), np.array([label for _, label in digits])
