"""A folder of tiny pictures in two classes, and short training runs."""

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.config.making import make_config
from dcgan_tf.evaluation import classifier


def draw(label, number, side=16):
    """A picture of a bright horizontal bar (class 0) or vertical bar (class 1), at a random place and brightness."""
    random = np.random.default_rng([label, number])
    image = random.integers(0, 60, (side, side), np.uint8)
    place = random.integers(2, side - 4)
    bar = (slice(place, place + 3), slice(None)) if label == 0 else (slice(None), slice(place, place + 3))
    image[bar] = random.integers(150, 256)
    return image


@pytest.fixture(scope="session")
def bars(tmp_path_factory):
    """A folder with train/ and test/, each of which holds the classes across and down."""
    folder = tmp_path_factory.mktemp("bars")
    for split, first, count in (("train", 0, 150), ("test", 1000, 60)):
        for label, name in enumerate(("across", "down")):
            (folder / split / name).mkdir(parents=True)
            for number in range(first, first + count):
                Image.fromarray(draw(label, number)).save(folder / split / name / f"{number:04}.png")
    return folder


@pytest.fixture(scope="session")
def bars_config(bars):
    """Settings of a small run on `bars`."""
    small = {
        "dataset": "folder", "data_dir": str(bars), "image_size": "16", "channels": "1", "batch_size": 16,
        "latent_dim": 8, "generator_filters": "8", "discriminator_filters": "8", "steps": 12, "steps_per_call": 4,
        "log_every": 6, "sample_every": 12, "checkpoint_every": 12, "evaluate_every": 4, "keep_checkpoints": 1,
    }  # fmt: skip
    return make_config(small)


@pytest.fixture
def short_classifier_training(monkeypatch):
    monkeypatch.setattr(classifier, "STEPS", 40)
    monkeypatch.setattr(classifier, "BATCH_SIZE", 32)
