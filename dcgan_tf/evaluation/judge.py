"""Compares generated images with real ones: chooses the feature networks, and computes all their metrics."""

import dataclasses
from typing import Any, Protocol

import numpy as np

from dcgan_tf import progress
from dcgan_tf.config.plan import format_size
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.classifier import load_or_train_classifier
from dcgan_tf.evaluation.features import (
    DISCRIMINATOR,
    FeatureNetwork,
    Features,
    classifier_network,
    random_network,
    stacked_network,
)
from dcgan_tf.evaluation.figures import FeatureSets, Figure, measure
from dcgan_tf.evaluation.inception import load_inception
from dcgan_tf.evaluation.labeled import labeled_config, labeled_network
from dcgan_tf.evaluation.per_class import ClassTable, compare_classes
from dcgan_tf.evaluation.sets import ImageSet
from dcgan_tf.evaluation.splits import dataset_name
from dcgan_tf.evaluation.statistics import SavedStatistics

STACKED_MNIST = "stacked_mnist"


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
    """The feature networks besides that of the data itself.

    Attributes:
        inception_weights: File of Inception weights, or empty.
        inception_resizer: How images are brought to Inception's size; see `load_inception`.
        features_from: Folder of labeled pictures or of a run, whose classifier is used as well; or empty.
        resize: Whether to prepare these pictures at the size of the images to be judged, if their size is different.
    """

    inception_weights: str = ""
    inception_resizer: str = ""
    features_from: str = ""
    resize: bool = False


class RealSide(Protocol):
    """What `measure_sets` needs of the real images. Saved statistics provide it without the images."""

    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> np.ndarray | None: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...
    def features(self, networks: list[FeatureNetwork], description: str) -> dict[str, Features]: ...


@dataclasses.dataclass(frozen=True)
class Measurements:
    """All metrics, the reasons for those that were left out, and the table by class, if there are classes."""

    figures: list[Figure]
    left_out: dict[str, str]
    classes: ClassTable | None


def other_networks(config: Config, options: NetworkOptions) -> list[FeatureNetwork]:
    """The networks that the user named.

    Args:
        config: Gives the size and the channels of the images, and the cache folder.
        options: Which networks.

    Raises:
        UserError: A file or folder is not what was expected.
    """
    others = []
    if options.resize and not options.features_from:
        raise UserError("`resize=True` has no effect without `features_from`: remove it")
    if options.inception_resizer and not options.inception_weights:
        raise UserError("`inception_resizer` has no effect without `inception_weights`: remove it")
    if options.inception_weights:
        others.append(load_inception(options.inception_weights, options.inception_resizer))
    if options.features_from:
        labeled = labeled_config(options.features_from, config, resize=options.resize)
        others.insert(0, labeled_network(labeled, config.sample_shape))
    return others


def own_network(config: Config | None, class_names: tuple[str, ...], shape: tuple[int, ...]) -> FeatureNetwork:
    """The classifier of the data set itself, which is trained once; random convolutions if it has no classes.

    Args:
        config: A complete configuration of the data; None if there is none.
        class_names: The classes of the data.
        shape: (height, width, channels) of the images.
    """
    if config is not None and config.dataset == STACKED_MNIST:
        digits = dataclasses.replace(config, dataset="mnist", split="train", channels="1")
        return stacked_network(load_or_train_classifier(digits), shape)
    if config is not None and len(class_names) >= 2:
        return classifier_network(load_or_train_classifier(config), shape)
    return random_network(shape)


def networks_for(
    real: ImageSet | SavedStatistics, options: NetworkOptions, folders: dict[str, Any]
) -> list[FeatureNetwork]:
    """The networks that the user named; if there are none, that of the real images.

    Args:
        real: The real images.
        options: Which networks.
        folders: ``data_dir``, ``manual_dir`` and ``cache_dir``, if they are given.
    """
    # Here `resize` also applies to the images to be judged, so it may be given without a folder of labeled pictures.
    options = dataclasses.replace(options, resize=options.resize and bool(options.features_from))
    size = format_size(*real.shape[:2])
    images = dataclasses.replace(Config(), image_size=size, channels=str(real.shape[2]), **folders)
    others = other_networks(images, options)
    if others:
        return others
    if isinstance(real, SavedStatistics):
        return [_network_of_statistics(real, folders)]
    return [own_network(real.config, real.class_names, real.shape)]


def _network_of_statistics(real: SavedStatistics, folders: dict[str, Any]) -> FeatureNetwork:
    """The network of the images themselves. If it is a classifier, it is found or trained again by means of them."""
    config = None if real.config is None else dataclasses.replace(real.config, **folders)
    if config is not None and config.dataset != STACKED_MNIST and len(real.class_names) >= 2:
        real.refuse_without(f"{dataset_name(config)}-classifier")  # Before the classifier is trained for minutes
    try:
        return own_network(config, real.class_names, real.shape)
    except UserError as error:
        raise UserError(
            f"`real`: the statistics in '{real.path}' need the classifier of their images, which is found by means of "
            f"the images: {error}"
        ) from None


def measure_sets(
    networks: list[FeatureNetwork],
    generated: ImageSet,
    real: RealSide,
    training: ImageSet | None = None,
    split: str = "",
) -> Measurements:
    """Computes the metrics of all networks.

    Args:
        networks: The networks, the one for the table by class first.
        generated: The images to be judged.
        real: The images that they are compared with.
        training: As many images that the generator was trained on, as a reference.
        split: Name of the split of the real images; by default, their name.

    Raises:
        UserError: Features are not finite.
    """
    fakes = generated.features(networks, "generated images")
    figures: list[Figure] = []
    left_out: dict[str, str] = {}
    table = None
    for network in networks:
        progress.logger.info(f"Measuring with {network.name} ...")
        sides = [
            None if side is None else side.features([network], "real images")[network.name] for side in (real, training)
        ]
        assert sides[0] is not None
        sets = FeatureSets(network, sides[0], fakes[network.name], sides[1], split or real.name)
        found, missing = measure(sets, only_distances=network.name == DISCRIMINATOR)
        figures += found
        left_out |= missing
        if table is None and network.name != DISCRIMINATOR:
            table = compare_classes(sets, real, generated, training)
    return Measurements(figures, left_out, table)
