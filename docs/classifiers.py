"""Trains a bundled classifier, with whose features runs on its data set are measured: python -m docs.classifiers

Fashion-MNIST: python -m docs.classifiers --dataset=fashion_mnist --manual_dir=FOLDER_WITH_THE_FOUR_FILES

The training is deterministic: the same machine and package versions give the same weights. The file is named after a
digest of the images and the recipe. If either changes, evaluations do not find it, and train their own classifier.
"""

import pathlib
import shutil
import sys
import tempfile
from unittest import mock

from absl import flags

from dcgan_tf import notices, progress
from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config

FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_enum("dataset", "mnist", ["mnist", "fashion_mnist"], "Data set.")
    command_line.define_path("manual_dir", "", "Folder with the original files of Fashion-MNIST.")


def run() -> None:
    notices.import_tensorflow()
    from dcgan_tf.data.prepare import prepare
    from dcgan_tf.evaluation import classifier

    with tempfile.TemporaryDirectory() as cache, progress.shown():
        config, _ = prepare(make_config({"dataset": FLAGS.dataset, "manual_dir": FLAGS.manual_dir, "cache_dir": cache}))
        with mock.patch.object(classifier, "BUNDLED", pathlib.Path(cache) / "none"):
            classifier.load_or_train_classifier(config)
        (trained,) = (pathlib.Path(cache) / "classifiers").glob("*.npz")
        for old in classifier.BUNDLED.glob(f"{FLAGS.dataset}-*.npz"):
            old.unlink()
        written = shutil.copyfile(trained, classifier.BUNDLED / trained.name)
    print(f"Wrote {written}: {written.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m docs.classifiers")
