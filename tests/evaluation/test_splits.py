import dataclasses

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.config.settings import Config
from dcgan_tf.data.arrays import ARRAY, open_array
from dcgan_tf.data.prepare import prepare
from dcgan_tf.errors import UnknownSplitError, UserError
from dcgan_tf.evaluation import splits
from dcgan_tf.evaluation.splits import DATA_SETTINGS, open_split, open_test_split, random_rows


@pytest.mark.parametrize(
    "changes",
    [
        {"batch_size": 15, "pack": 5},
        # A run counted in epochs could once outlast its decay.
        {"steps": 40, "learning_rate_decay": "linear", "learning_rate_decay_steps": 20},
        {"architecture": "mlp"},
    ],
    ids=str,
)
def test_the_images_of_a_run_do_not_depend_on_how_it_was_trained(bars_config, changes):
    config = dataclasses.replace(bars_config, **changes)
    assert open_split(config, config.split).directory == prepare(bars_config)[1].directory
    assert len(open_split(config, "test").images) == 120


def test_every_setting_of_the_data_is_taken_over():
    names = [field.name for field in dataclasses.fields(Config)]
    settings = set(names[names.index("dataset") : names.index("replicas")])
    # The caller names the split, images are mirrored when a batch is read, and the digest is of the run's split.
    assert set(DATA_SETTINGS) == settings - {"split", "flip", "data_digest"}


@pytest.mark.parametrize(
    ("trained_on", "there", "held_out"),
    [
        ("train", "train test validation", "test"),
        ("train[:256]", "train test", "test"),
        ("train", "train validation", "validation"),
        ("validation+train[10%:]", "train test validation", "test"),
        ("validation+train[10%:]", "train validation", None),
        ("test", "train test", None),
        ("test[:256]", "train test", None),
        ("test[:256]", "train test validation", "validation"),
        ("train+test[:50%]", "train test", None),
        ("all", "train test validation", None),
    ],
)
def test_images_that_were_trained_on_are_not_held_out(monkeypatch, trained_on, there, held_out):
    def open_if_there(config, name):
        if name != trained_on and name not in there.split():
            raise UnknownSplitError(name)
        return name

    monkeypatch.setattr(splits, "open_split", open_if_there)
    split = open_test_split(dataclasses.replace(Config(), split=trained_on))
    assert split.name == split.data == (held_out or trained_on)
    assert split.is_held_out == bool(held_out)
    assert ("none are held out" in split.describe()) != bool(held_out)


def test_images_of_a_folder_that_were_trained_on_are_not_held_out(bars_config, tmp_path):
    def trained_on(**changes):
        return open_test_split(dataclasses.replace(bars_config, **changes))

    assert trained_on().is_held_out
    test = trained_on(split="test")
    assert (test.is_held_out, test.name, len(test.data.images)) == (False, "test", 120)
    # Without train/, the run trains on the whole folder, including test/.
    for number in range(12):
        place = tmp_path / ("test" if number % 2 else "more") / f"{number}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 16), 20 * number, np.uint8)).save(place)
    everything = trained_on(data_dir=str(tmp_path))
    assert (everything.is_held_out, len(everything.data.images)) == (False, 12)


def test_rows_are_a_fixed_random_sample():
    rows = random_rows(1000, 300)
    np.testing.assert_array_equal(rows, random_rows(1000, 300))
    assert len(set(rows.tolist())) == 300
    # Classes one after the other, and classes in turn.
    for classes in (np.arange(1000) // 100, np.arange(1000) % 10):
        assert np.bincount(classes[rows], minlength=10).min() > 15
    assert sorted(random_rows(7, 300)) == list(range(7))


@pytest.mark.parametrize("crop", ["center", "random"])
def test_images_that_a_program_passed_in_are_those_of_the_training(tmp_path, crop):
    rng = np.random.default_rng(0)
    # Each image is flat, so that resizing and cropping leave it distinct from the others.
    images = rng.integers(0, 256, (6, 1, 1, 1), np.uint8) + np.zeros((1, 24, 24, 1), np.uint8)
    typed = {"cache_dir": str(tmp_path), "image_size": "16", "crop": crop, "batch_size": 2}
    config, data = prepare(dataclasses.replace(Config(), dataset=ARRAY, **typed), open_array(images))
    split = open_test_split(config)
    assert (split.name, split.is_held_out) == ("train", False)
    assert split.data.read(np.arange(6)).shape == (6, 16, 16, 1)
    edge = (data.images.shape[1] - 16) // 2
    assert (edge > 0) == (crop == "random")
    np.testing.assert_array_equal(split.data.read(np.arange(6)), data.images[:, edge : edge + 16, edge : edge + 16])
    with pytest.raises(UserError, match="no longer in the cache"):
        open_split(dataclasses.replace(config, data_digest="another"), "train")
