"""How long the classifier of a labelled folder takes: python -m tests.benchmarks.classifier_time --data_dir=smiles

Trains it in a temporary cache, so that every call trains, and prints the seconds and the accuracy. The pictures are
prepared before the clock starts.
"""

import tempfile
import time

from absl import app, flags

from dcgan_tf import progress
from dcgan_tf.config.making import make_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.evaluation.classifier import load_or_train_classifier

DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of pictures, sorted into one folder per class.", required=True)
IMAGE_SIZE = flags.DEFINE_string("image_size", "64", "Pixels of the square image, or HEIGHTxWIDTH.")


def main(_: list[str]) -> None:
    with tempfile.TemporaryDirectory() as cache, progress.shown():
        typed = {"dataset": "folder", "data_dir": DATA_DIR.value, "image_size": IMAGE_SIZE.value, "cache_dir": cache}
        config, _data = prepare(make_config(typed))
        start = time.perf_counter()
        classifier = load_or_train_classifier(config)
        seconds = time.perf_counter() - start
    print(f"{seconds:.0f} s; {classifier.accuracy:.2%} right on {classifier.accuracy_split}")


if __name__ == "__main__":  # Pictures are decoded in processes that import this file.
    app.run(main)
