"""Saved statistics of real images: their features, with a record of how and from which images they were computed."""

import dataclasses
import json
import pathlib
import zipfile

import numpy as np

from dcgan_tf import files
from dcgan_tf.config.settings import Config
from dcgan_tf.config.storage import config_from
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.features import FeatureNetwork, Features
from dcgan_tf.evaluation.sets import ImageSet

FORMAT = 1
MARK = "dcgan_tf_statistics"


@dataclasses.dataclass(frozen=True)
class SavedStatistics:
    """The features of real images, as they were computed earlier.

    Attributes:
        path: The file.
        name: What the images are.
        shape: (height, width, channels).
        count: Number of images.
        labels: int64 [images]; None if there are none.
        class_names: Names of the classes.
        config: Settings that open the data again, to load or train its classifier; None if there are none.
    """

    path: pathlib.Path
    name: str
    shape: tuple[int, ...]
    count: int
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    config: Config | None
    _networks: dict[str, dict[str, str]]
    _arrays: dict[str, np.ndarray]

    def __len__(self) -> int:
        return self.count

    def features(self, networks: list[FeatureNetwork], description: str) -> dict[str, Features]:
        """The saved features by the name of the network.

        Raises:
            UserError: They were computed with another network or resizer, or not at all.
        """
        found = {}
        for network in networks:
            self.refuse_without(network.name)
            saved = self._networks[network.name]
            for what, value in _facts(network).items():
                if saved[what] != value:
                    raise UserError(
                        f"`real`: the statistics in '{self.path}' were made with another {what} of {network.name}: "
                        f"{saved[what]}, not {value}. Make them again"
                    )
            probabilities = self._arrays.get(f"probabilities/{network.name}")
            found[network.name] = Features(self._arrays[f"values/{network.name}"], probabilities)
        return found

    def refuse_without(self, network: str) -> None:
        """Raises UserError unless there are features of the network with this name."""
        if network not in self._networks:
            raise UserError(
                f"`real`: '{self.path}' has the statistics of {', '.join(self._networks)}, but not of {network}. "
                "Measure with the same networks, or make the statistics again"
            )


def save_statistics(path: pathlib.Path, networks: list[FeatureNetwork], real: ImageSet) -> pathlib.Path:
    """Writes the features of real images, whole or not at all."""
    features = real.features(networks, "real images")
    facts = {
        "format": FORMAT,
        "name": real.name,
        "digest": real.digest,
        "count": len(real),
        "shape": real.shape,
        "class_names": real.class_names,
        "config": None if real.config is None else dataclasses.asdict(real.config),
        "networks": {network.name: _facts(network) for network in networks},
    }
    arrays = {f"values/{name}": each.values for name, each in features.items()}
    arrays |= {
        f"probabilities/{name}": each.probabilities for name, each in features.items() if each.probabilities is not None
    }
    if real.labels is not None:
        arrays["labels"] = real.labels
    return files.write_arrays(path, **{MARK: json.dumps(facts)}, **arrays)


def is_statistics(path: pathlib.Path) -> bool:
    """Whether a file holds statistics that this program saved, judged by the names of its arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            return f"{MARK}.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load_statistics(path: pathlib.Path) -> SavedStatistics:
    """Reads statistics; raises UserError if the file is damaged, or in the format of another release."""
    try:
        arrays = files.read_arrays(path)
        facts = json.loads(str(arrays.pop(MARK)))
        if facts["format"] != FORMAT:
            raise ValueError(f"format {facts['format']!r}, expected {FORMAT}")
        count = facts["count"]
        if any(len(array) != count for array in arrays.values()) or not facts["networks"]:
            raise ValueError(f"it does not have {count} rows")
        for name, network in facts["networks"].items():
            if not {"digest", "resizer"} <= network.keys() or f"values/{name}" not in arrays:
                raise ValueError(f"the features of {name} are incomplete")
        config = None if facts["config"] is None else config_from(facts["config"])
        return SavedStatistics(
            path,
            str(facts["name"]),
            tuple(facts["shape"]),
            count,
            arrays.get("labels"),
            tuple(facts["class_names"]),
            config,
            facts["networks"],
            arrays,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"`real`: the statistics in '{path}' are damaged: {files.reason(error)}. Make them again"
        ) from None


def _facts(network: FeatureNetwork) -> dict[str, str]:
    return {"digest": network.digest, "resizer": network.resizer}
