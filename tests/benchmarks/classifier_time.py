"""How long the classifier of a labeled folder takes: python -m tests.benchmarks.classifier_time --data_dir=smiles

Trains it in a temporary cache, so that every call trains, and prints the seconds and the accuracy. The pictures are
prepared before the clock starts.
"""

import sys
import tempfile
import time

from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from dcgan_tf.errors import UserError

FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_path("data_dir", "", "Folder of pictures, sorted into one folder per class.")
    flags.DEFINE_string("image_size", "64", "Pixels of the square image, or HEIGHTxWIDTH.")


def run() -> None:
    if not FLAGS.data_dir:
        raise UserError("--data_dir: name a folder of pictures, sorted into one folder per class")

    from dcgan_tf.data.prepare import prepare
    from dcgan_tf.evaluation.classifier import load_or_train_classifier

    with tempfile.TemporaryDirectory() as cache:
        typed = {"dataset": "folder", "data_dir": FLAGS.data_dir, "image_size": FLAGS.image_size, "cache_dir": cache}
        config, _ = prepare(make_config(typed))
        start = time.perf_counter()
        classifier = load_or_train_classifier(config)
        seconds = time.perf_counter() - start
    print(f"{seconds:.0f} s; {classifier.accuracy:.2%} accuracy on {classifier.accuracy_split}")


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.classifier_time")
