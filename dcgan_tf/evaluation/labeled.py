"""The classifier of another, labeled data set, for images without labels."""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator
from typing import Any

import keras

from dcgan_tf.config.settings import Config
from dcgan_tf.data.arrays import ARRAY
from dcgan_tf.data.prepare import resolve
from dcgan_tf.data.sources import Source, data_set_at, find_source
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.classifier import Classifier, load_or_train_classifier
from dcgan_tf.evaluation.features import FeatureNetwork, classifier_network
from dcgan_tf.evaluation.splits import DATA_SETTINGS
from dcgan_tf.models.pixels import to_gray
from dcgan_tf.runs import run_directory


def labeled_config(path: str, config: Config, *, resize: bool = False) -> Config:
    """The settings of a labeled data set whose classifier can take the images of a run.

    The classifier sees transparency if the images of the run have it. Otherwise, it sees gray images if those of the
    run or the labeled ones are gray. The labeled images are prepared that way, and `load_labeled_classifier` converts
    the images of the run.

    Args:
        path: A folder of pictures with one folder per class, or the folder of a run, whose data is used.
        config: The complete configuration of the run whose images are classified.
        resize: Whether to prepare labeled pictures of another size at the size of the run's images.

    Returns:
        A complete configuration with the names of the classes. Nothing is prepared yet.

    Raises:
        UserError: There is no such folder, it has no classes, or its pictures have another size.
    """
    labeled = _settings(path, config)
    with _blaming_features_from():
        source = find_source(labeled)
        _refuse_other_sizes(path, labeled, source, config, resize)
        labeled = dataclasses.replace(labeled, image_size=config.image_size)
        if config.channels == "1" or "4" in (config.channels, labeled.channels):
            labeled = dataclasses.replace(labeled, channels=config.channels)
        labeled = resolve(labeled, source)
    if len(labeled.class_names) < 2:
        raise UserError(
            f"`features_from`: '{path}' has no classes, so no classifier can be trained on it. Sort its pictures into "
            "one folder per class, or list their classes in a labels.csv"
        )
    return labeled


def load_labeled_classifier(labeled: Config, image_shape: tuple[int, ...]) -> Classifier:
    """Loads or trains the classifier of a labeled data set, for images of a run.

    Args:
        labeled: A configuration from `labeled_config`.
        image_shape: (height, width, channels) of the run's images.

    Raises:
        UserError: The cached classifier is damaged. It is not trained again automatically, because metrics of the new
            classifier would not be comparable with earlier ones.
    """
    with _blaming_features_from():
        classifier = load_or_train_classifier(labeled, refuse_damaged=True)
    if image_shape[-1] == int(labeled.channels):
        return classifier
    image = keras.Input(image_shape, dtype="uint8", name="image")
    gray = keras.layers.Lambda(to_gray, output_shape=(*image_shape[:2], 1))(image)
    return dataclasses.replace(classifier, network=keras.Model(image, classifier.network(gray)))


def labeled_network(labeled: Config, image_shape: tuple[int, ...]) -> FeatureNetwork:
    """The hidden layer and the class probabilities of a labeled data set's classifier. The name includes its accuracy.

    Args:
        labeled: A configuration from `labeled_config`.
        image_shape: (height, width, channels) of the run's images.
    """
    classifier = load_labeled_classifier(labeled, image_shape)
    converted = "; images are converted to gray (luma of ITU-R 601)" * (image_shape[-1] != int(labeled.channels))
    return dataclasses.replace(
        classifier_network(classifier, image_shape),
        name=f"{classifier.name}-{classifier.accuracy:.1%}",
        description=(
            f"classifier of another data set, {classifier.trained_on} ({', '.join(classifier.class_names)}), "
            f"{classifier.accuracy:.2%} accuracy on {classifier.accuracy_split}{converted}"
        ),
    )


@contextlib.contextmanager
def _blaming_features_from() -> Iterator[None]:
    """Makes errors about the labeled pictures name the setting that they come from."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("`data_dir`", "`features_from`")) from None


def _settings(path: str, config: Config) -> Config:
    folder = pathlib.Path(path).expanduser()
    settings: dict[str, Any] = {"dataset": data_set_at(folder), "data_dir": str(folder), "cache_dir": config.cache_dir}
    if (folder / run_directory.CONFIG_FILE).is_file():
        run = run_directory.load_run(folder)
        if run.config.draws_points or run.config.dataset == ARRAY:
            kind = "are points" if run.config.draws_points else "were passed in by a program"
            raise UserError(
                f"`features_from`: the data of the run '{path}' {kind}. Name a folder of pictures, or another run"
            )
        settings = {name: getattr(run.config, name) for name in (*DATA_SETTINGS, "split")}
    elif not settings["dataset"]:
        raise UserError(
            f"`features_from`: expected a folder of pictures (or a zip archive or parquet files), or the folder of a "
            f"run. Received: '{path}'"
        )
    return dataclasses.replace(Config(), **settings, batch_size=2)


def _refuse_other_sizes(path: str, labeled: Config, source: Source, config: Config, resize: bool) -> None:
    if resize:
        return
    height, width = source.height, source.width
    if labeled.image_size != "auto":  # The source is a run, which may have resized its pictures.
        height, width = labeled.height_and_width
    if (height, width) != config.height_and_width:
        received = f"have {height}x{width}" if height and width else "have several sizes"
        expected = "{}x{}".format(*config.height_and_width)
        raise UserError(
            f"`features_from`: expected pictures of {expected} pixels (height x width), the size of the images to be "
            f"classified. Those in '{path}' {received}. Use `resize=True` to prepare them at that size"
        )
