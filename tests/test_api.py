"""Training from Python: `dcgan_tf.train`."""

import contextlib
import dataclasses
import os
import re
import tempfile
import threading

import numpy as np
import pytest
import tensorflow as tf

import dcgan_tf
from dcgan_tf.data import processes
from tests.data.conftest import _ThisProcess
from tests.training.outcomes import assert_same_checkpoint, end_quickly, timeless

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 20, 1), np.uint8)
LABELS = np.arange(40) % 3
TINY = {"latent_dim": 4, "generator_filters": "4", "discriminator_filters": "4", "batch_size": 8, "evaluate_every": 0}
SETTINGS = {**TINY, "conditional": True, "dropout": 0.2, "steps": 8, "steps_per_call": 2, "log_every": 4}


@dataclasses.dataclass
class Training:
    """What training outside the main thread wrote, logged and returned."""

    written: list = dataclasses.field(default_factory=list)
    logged: list = dataclasses.field(default_factory=list)
    result: object = None

    def run(self, run_dir):
        self.result = dcgan_tf.train(IMAGES, labels=LABELS, run_dir=run_dir, verbose=False, on_log=self.log, **SETTINGS)

    def log(self, step, metrics):
        self.logged.append({"step": step, **metrics})


@contextlib.contextmanager
def written_by_this_process():
    """Yields the lines that reach standard output and error, by Python or not. capfd cannot serve a whole module."""
    lines = []
    with tempfile.TemporaryFile("w+") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        saved = {number: os.dup(number) for number in (1, 2)}
        for number in saved:
            os.dup2(file.fileno(), number)
        try:
            yield lines
        finally:
            for number, descriptor in saved.items():
                os.dup2(descriptor, number)
                os.close(descriptor)
            file.seek(0)
            lines += file.read().splitlines()


@pytest.fixture(scope="module", autouse=True)
def quick_end():
    with pytest.MonkeyPatch.context() as patch:
        end_quickly(patch)
        yield


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A silent training on an array in a thread, from its start to its end."""
    training = Training()
    with written_by_this_process() as lines:
        thread = threading.Thread(target=training.run, args=[tmp_path_factory.mktemp("straight") / "run"])
        thread.start()
        thread.join()
    training.written = lines
    return training


def test_array_trains_in_a_thread_and_says_nothing(straight):
    assert straight.result is not None, "the thread failed"
    assert straight.written == []


def test_result_is_all_that_a_training_leaves(straight):
    result = straight.result
    assert result.step == result.generator.step == 8
    assert [record["step"] for record in result.metrics] == [4, 8]
    assert result.saved_model == result.run_dir / "saved_model" / "1"
    assert (result.run_dir / "generator.keras").exists()
    config = result.generator.config
    assert (config.dataset, config.image_size, config.channels) == ("array", "16x20", "1")  # Not resized
    assert config.class_names == ("0", "1", "2")
    assert config.mixed_precision in (True, False)  # What auto chose
    images = result.generator.sample([0, 1], labels=[2, 0])
    assert (images.shape, images.dtype) == ((2, 16, 20, 1), np.uint8)


def test_on_log_is_called_at_each_record(straight):
    assert straight.logged == straight.result.metrics
    assert all(np.isfinite(record["loss/generator"]) for record in straight.logged)


def test_interrupt_saves_and_the_same_call_goes_on_bit_for_bit(straight, tmp_path):
    steps = []

    def interrupt_once(step, _):
        steps.append(step)
        if len(steps) == 1:
            raise KeyboardInterrupt

    arguments = {"run_dir": str(tmp_path), "verbose": False, "on_log": interrupt_once, **SETTINGS}
    with pytest.raises(KeyboardInterrupt):
        dcgan_tf.train(IMAGES, labels=LABELS, **arguments)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000004"]
    assert not (tmp_path / "saved_model").exists()
    result = dcgan_tf.train(IMAGES, labels=LABELS, **arguments)
    assert steps == [4, 8]
    assert_same_checkpoint(straight.result.run_dir, tmp_path, 8)
    assert timeless(result.metrics) == timeless(straight.result.metrics)


def test_dataset_of_pairs_trains_like_the_array_and_shows_its_progress(straight, tmp_path, capsys):
    dataset = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
    dcgan_tf.train(dataset, run_dir=tmp_path, **SETTINGS)
    assert_same_checkpoint(straight.result.run_dir, tmp_path, 8)
    shown = capsys.readouterr().out
    assert "step 4 of 8: loss D" in shown
    assert f"Run directory: {tmp_path}" in shown


def test_folder_trains_with_its_classes(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "ProcessPoolExecutor", _ThisProcess)
    result = dcgan_tf.train(pictures, run_dir=tmp_path, verbose=False, steps=2, **TINY)
    config = result.generator.config
    assert (config.dataset, config.data_dir, config.class_names) == ("folder", str(pictures), ("bars", "frames"))
    assert result.generator.sample([0]).shape[:3] == (1, 16, 16)


def test_named_data_set_trains(tmp_path):
    result = dcgan_tf.train("ring", architecture="mlp", run_dir=tmp_path, verbose=False, steps=2, **TINY)
    assert result.step == 2
    assert result.generator.sample([0]).shape == (1, 2)


@pytest.mark.parametrize(
    ("data", "arguments", "field", "message"),
    [
        (IMAGES, {"batch_size": -5}, "batch_size", "`batch_size`: expected at least 2. Received: -5"),
        (IMAGES, {"batch_size": "16"}, "batch_size", "`batch_size`: expected a whole number. Received: '16'"),
        (IMAGES, {"flip": 1}, "flip", "`flip`: expected true or false. Received: 1"),
        (IMAGES, {"batchsize": 16}, "batchsize", "unknown setting `batchsize`. Did you mean `batch_size`?"),
        (IMAGES, {"class_names": ("a",)}, "class_names", "unknown setting `class_names`"),  # The data's own
        (IMAGES, {"dataset": "mnist"}, "dataset", "`dataset` is determined by the data that you pass: remove it"),
        (IMAGES, {"preset": "fast"}, "preset", "`preset`: unknown preset 'fast'"),
        (
            IMAGES,
            {"penalty": "none", "penalty_weight": 3.0},
            "penalty_weight",
            "`penalty_weight` has no effect with `penalty=none`",
        ),
        (IMAGES / 255, {}, None, "Received: float64 [40, 16, 20, 1]"),
        ("mnits", {}, "dataset", "unknown data set 'mnits'"),
        ("ring", {"labels": LABELS}, None, "labels can be passed only with an array"),
        (tf.data.Dataset.from_tensors(IMAGES), {"labels": LABELS}, None, "A dataset yields pairs (image, label)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_bad_input_is_a_value_error_that_names_the_setting_and_leaves_no_run(tmp_path, data, arguments, field, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        dcgan_tf.train(data, run_dir=tmp_path / "run", verbose=False, **arguments)
    assert error.value.field == field
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("values", [{"batch_size": -5}, {"batch_size": 2.5}, {"flip": "yes"}, {"dataset": 3}], ids=str)
def test_config_refuses_bad_values_itself(values):
    (name,) = values
    with pytest.raises(ValueError, match=f"^`{name}`: expected .*Received: ") as error:
        dcgan_tf.Config(**values)
    assert error.value.field == name


def test_program_of_its_own_is_silent_from_the_first_import(tmp_path, command):
    """The program ends where the training begins: the other tests watch the training itself."""
    program = f"""
import contextlib, numpy, dcgan_tf
from unittest import mock

images = numpy.zeros((64, 16, 16, 1), numpy.uint8)
with contextlib.suppress(ZeroDivisionError), mock.patch("dcgan_tf.files.write_json", side_effect=ZeroDivisionError):
    dcgan_tf.train(images, run_dir={str(tmp_path / "run")!r}, cache_dir={str(tmp_path)!r}, verbose=False)
"""
    result = command("-c", program)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
