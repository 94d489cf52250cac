"""Points from a mixture of Gaussians in the plane: toy data whose modes can be counted."""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from dcgan_tf.config.settings import Config
from dcgan_tf.data.shards import Result, Shard, ShardWork
from dcgan_tf.errors import UserError

POINTS = 100_000
DATA_SEED = 0


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Equally likely round Gaussians.

    Attributes:
        centers: float64 [modes, 2].
        deviation: Standard deviation of each coordinate around its center.
    """

    centers: np.ndarray
    deviation: float


_ANGLES = np.arange(8) * np.pi / 4
# As in PacGAN (Lin et al. 2018, arXiv 1712.04086), section 4.1.
MIXTURES = {
    "ring": Mixture(np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1), 0.01),
    "grid": Mixture(np.array([[x, y] for x in range(-4, 5, 2) for y in range(-4, 5, 2)], float), 0.05),
}


@dataclasses.dataclass(frozen=True)
class PointData:
    """Points in memory, with the interface of `ImageData`.

    Attributes:
        images: The points, float32 [count, 2].
        labels: int64 [count], the Gaussian that each point was drawn from.
        class_names: Names of the Gaussians.
        source: Name of the data set.
        digest: Digest of the contents.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    source: str
    digest: str
    bad_files: int = 0

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The points of the given rows, float32 [rows, 2]."""
        return self.images[rows]


@dataclasses.dataclass(frozen=True)
class PointSource:
    """A `Source` whose points are generated on the fly and never written to disk."""

    full_name: str
    class_names: tuple[str, ...]
    _mixture: Mixture
    height: int | None = None
    width: int | None = None
    channels: int = 1
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        return self.full_name

    def count_if_known(self) -> int:
        """The number of points, which is always known."""
        return POINTS

    def prepare(self) -> None:
        """Does nothing: the points are generated."""

    def count(self) -> int:
        """The number of points."""
        return POINTS

    def map_shards(self, work: ShardWork[Result], shards: Sequence[Shard]) -> Iterator[Result]:
        """Not supported, because there are no pictures. Use `draw`."""
        raise NotImplementedError

    def draw(self) -> PointData:
        """The points, always the same ones."""
        chance = np.random.Generator(np.random.Philox(DATA_SEED))
        labels = chance.integers(0, len(self.class_names), POINTS)
        noise = self._mixture.deviation * chance.normal(size=(POINTS, 2))
        points = (self._mixture.centers[labels] + noise).astype(np.float32)
        digest = hashlib.sha256(points.tobytes()).hexdigest()[:16]
        return PointData(points, labels, self.class_names, self.full_name, digest)


def find_points(config: Config) -> PointSource:
    """The data set ``ring`` or ``grid``; raises UserError for any split except train."""
    if config.split != "train":
        raise UserError(f"`split`: {config.dataset} has only the split train. Received: {config.split!r}")
    mixture = MIXTURES[config.dataset]
    return PointSource(config.dataset, tuple(str(mode) for mode in range(len(mixture.centers))), mixture)
