"""The classes of a classifier, as the flags of several actions name them."""

import dataclasses
from collections.abc import Callable

import numpy as np

from dcgan_tf import notices
from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.common import FLAGS
from dcgan_tf.config.settings import Config
from dcgan_tf.errors import UserError
from dcgan_tf.generation.source import Source


@dataclasses.dataclass(frozen=True)
class Classes:
    """The classes of a data set, whose classifier may not have been trained yet.

    Attributes:
        names: Names of the classes, in the order of the classifier's outputs.
        data_set: Name of the data set in messages.
        labeled: Settings of the data set of --features_from, or None for the source's own data set.
    """

    names: tuple[str, ...]
    data_set: str
    labeled: Config | None = None

    def number(self, flag: str, text: str) -> int:
        """The number of a class given by name or number; raises UserError if there is no such class."""
        if text in self.names:
            return self.names.index(text)
        if text.isascii() and text.isdigit() and int(text) < len(self.names):
            return int(text)
        raise UserError(
            f"--{flag}: expected a class of {self.data_set}: {', '.join(self.names[:10])}"
            f"{', ...' if len(self.names) > 10 else ''}. Received: {text!r}"
        )


def find_classes(source: Source, needed_by: str) -> Classes:
    """The classes of --features_from, or of the source's own data set.

    Args:
        source: The generator whose images are classified.
        needed_by: The flag that requires classes, such as ``--of``.

    Raises:
        UserError: The data set has no classes.
    """
    if FLAGS.features_from:
        for name in ("data_dir", "manual_dir"):
            if FLAGS[name].present:
                raise UserError(f"--{name} has no effect with --features_from: remove it")
        notices.import_tensorflow()
        from dcgan_tf.evaluation.labeled import labeled_config

        config = dataclasses.replace(source.config, cache_dir=FLAGS.cache_dir or source.config.cache_dir)
        labeled = labeled_config(FLAGS.features_from, config, resize=FLAGS.resize)
        return Classes(labeled.class_names, f"'{FLAGS.features_from}'", labeled)
    if FLAGS.resize:
        raise UserError("--resize has no effect without --features_from: remove it")
    if not source.config.class_names:
        raise UserError(
            f"{needed_by}: {source.config.dataset} has no classes, so there is no classifier for it. Name a labeled "
            "data set with --features_from"
        )
    return Classes(source.config.class_names, source.config.dataset)


def load_classifier(source: Source, classes: Classes) -> Callable[[np.ndarray], np.ndarray]:
    """Loads or trains the classifier, a function from images uint8 [N, H, W, C] to logits float32 [N, classes]."""
    from dcgan_tf.evaluation import classifier, labeled

    if classes.labeled is None:
        network = classifier.load_or_train_classifier(common.data_config(source)).network
    else:
        network = labeled.load_labeled_classifier(classes.labeled, source.config.sample_shape).network
    return lambda images: classifier.class_logits(network, images)
