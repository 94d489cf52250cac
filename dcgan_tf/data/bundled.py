"""The bundled MNIST, read from its original files without TensorFlow Datasets."""

import dataclasses
import functools
import gzip
import hashlib
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data.pictures import NamedPicture
from dcgan_tf.data.shards import Result, Shard, ShardWork
from dcgan_tf.errors import UnknownSplitError, UserError

BUNDLED_MNIST = pathlib.Path(__file__).parent / "mnist"
COUNTS = {"train": 60_000, "test": 10_000}
IMAGE_FILES = {"train": "train-images-idx3-ubyte.gz", "test": "t10k-images-idx3-ubyte.gz"}
LABEL_FILES = {"train": "train-labels-idx1-ubyte.gz", "test": "t10k-labels-idx1-ubyte.gz"}
IMAGE_HEADER_BYTES = 16
LABEL_HEADER_BYTES = 8
SIDE = 28
SHA_256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


@dataclasses.dataclass(frozen=True)
class MnistSource:
    """A `Source` of the bundled digits, in the order of TensorFlow Datasets.

    Attributes:
        parts: The slices of the original splits that make up the requested split.
    """

    parts: tuple[tuple[str, slice], ...]
    full_name: str = "mnist/3.0.1"
    height: int | None = SIDE
    width: int | None = SIDE
    channels: int = 1
    class_names: tuple[str, ...] = tuple("0123456789")
    fingerprint: str = full_name
    notes: tuple[str, ...] = ()

    def count_if_known(self) -> int:
        """The number of images, which is always known."""
        return self.count()

    def prepare(self) -> None:
        """Does nothing: the files are already there."""

    def count(self) -> int:
        """The number of images in the split."""
        return sum(len(range(COUNTS[split])[rows]) for split, rows in self.parts)

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Runs `work` on each shard in turn and yields the results."""
        pictures = list(itertools.chain.from_iterable(_pictures(split, rows) for split, rows in self.parts))
        for shard in shards:
            yield work(shard, pictures[shard.first : shard.stop])


def find_mnist(config: Config) -> MnistSource:
    """Finds the requested split of MNIST; raises UserError if there is no such split."""
    if config.split in COUNTS:
        return MnistSource(((config.split, slice(None)),))
    import tensorflow_datasets as tfds  # Only to parse a split such as train[:5000]

    infos = {name: tfds.core.SplitInfo(name=name, shard_lengths=[count], num_bytes=0) for name, count in COUNTS.items()}
    try:
        spec = "+".join(COUNTS) if config.split == "all" else config.split
        instructions = tfds.core.ReadInstruction.from_spec(spec).to_absolute(infos)
    except (KeyError, ValueError, AssertionError) as error:
        raise UnknownSplitError(
            f"`split`: mnist has no split {config.split!r}. Expected one of: {', '.join(COUNTS)}, or a part such as "
            f"train[:5000] ({str(error).strip().splitlines()[0]})"
        ) from None
    return MnistSource(tuple((part.splitname, slice(part.from_, part.to)) for part in instructions))


def _pictures(split: str, rows: slice) -> Iterator[NamedPicture]:
    images = _read(IMAGE_FILES[split], IMAGE_HEADER_BYTES).reshape(-1, SIDE, SIDE)
    labels = _read(LABEL_FILES[split], LABEL_HEADER_BYTES)
    for number in _order(split, len(labels))[rows]:
        name = f"mnist/{split}/{number}"
        yield NamedPicture(name, int(labels[number]), functools.partial(Image.fromarray, images[number]))


def _read(name: str, header_bytes: int) -> np.ndarray:
    compressed = (BUNDLED_MNIST / name).read_bytes()
    if hashlib.sha256(compressed).hexdigest() != SHA_256[name]:
        raise UserError(
            f"`dataset=mnist`: the bundled file '{BUNDLED_MNIST / name}' is damaged. Install dcgan_tf again"
        )
    return np.frombuffer(gzip.decompress(compressed), np.uint8, offset=header_bytes)


def _order(split: str, count: int) -> list[int]:
    """The order of TensorFlow Datasets, by a hash of split and number. Runs that began on its copy can resume here."""
    return sorted(
        range(count), key=lambda number: hashlib.md5(f"{split}{number}".encode(), usedforsecurity=False).digest()
    )
