"""Runs and exports as earlier releases wrote them: today's code samples from them, measures them and resumes them.

Each folder next to this file holds one layout. run.zip is a run of 12 steps on the first 256 images of MNIST with its
export. The code of that day made the other files from it. golden.npz has the images that its exports of the steps 12
and 20 gave for the latents of the seeds 0 to 3, scaled by 60 (so short a run draws gray on gray). It also has the
weights of the moving average after the run had resumed to step 20. records.jsonl has its scalars on the way there.
"""

import json
import pathlib
import zipfile

import numpy as np
import pytest

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import classifier
from dcgan_tf.evaluation.evaluator import Options, evaluate_run
from dcgan_tf.generation.generator import load_generator
from dcgan_tf.runs import run_directory
from dcgan_tf.serving import saved_model
from dcgan_tf.training import loop
from tests.training.outcomes import checkpoint_values

HERE = pathlib.Path(__file__).parent
# What is new in each.
FIRST = "2026-11-22-first"  # Settings, checkpoints, records, an export without metadata; 4x4 kernels
SERVED = "2026-11-22-served"  # The names of the classes, the digest of the data, metadata of exports; 5x5 kernels
EVALUATED = "2026-11-22-evaluated"  # Evaluations, the best checkpoint, diagnoses; losses, stabilizers, conditions
FUSED = "2026-11-22-fused"  # BatchNorm, Adam and norms as single operations, which round differently
BLOCKS = "2026-11-26-blocks"  # The number of blocks is settled and stored; 4x4 kernels
LAYOUTS = [FIRST, SERVED, EVALUATED, FUSED, BLOCKS]
NEWEST = BLOCKS


@pytest.fixture
def old_run(layout, tmp_path):
    """The folder of the run of a layout, to be changed."""
    with zipfile.ZipFile(HERE / layout / "run.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path / "run"


@pytest.fixture
def golden(layout):
    return np.load(HERE / layout / "golden.npz")


def assert_images(generator, expected):
    """Another processor may round a level up where this one rounds it down."""
    images = generator.sample([0, 1, 2, 3], psi=60.0)
    np.testing.assert_allclose(images.astype(int), expected, atol=1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_old_run_and_its_export_are_sampled_from(old_run, golden, layout):
    config = run_directory.load_run(old_run).config
    # Settings that came later have the value that the code of that day had without them.
    assert (config.blocks, config.data_rules, config.conditional, config.pack) == (2, 1, False, 1)
    assert config.penalty == "none"
    assert (config.kernel_size, config.batchnorm_momentum) == (4 if layout in (FIRST, BLOCKS) else 5, 0.9)
    generator = load_generator(old_run)
    assert generator.step == 12
    assert_images(generator, golden["images_12"])
    if layout == FIRST:
        with pytest.raises(UserError, match=r"expected an export of this project.*or export the run again"):
            load_generator(old_run / "saved_model")
    else:
        assert_images(load_generator(old_run / "saved_model"), golden["images_12"])


@pytest.mark.parametrize(
    "layout", [pytest.param(layout, marks=[] if layout == NEWEST else pytest.mark.long) for layout in LAYOUTS]
)
def test_old_run_resumes_is_exported_and_measured(old_run, golden, layout, monkeypatch):
    monkeypatch.setattr(saved_model, "_verify", lambda *_: None)  # It has tests of its own, and takes seconds.
    monkeypatch.setattr(classifier, "STEPS", 10)
    result = loop.train(run_directory.configure(str(old_run), {"steps": 20}), str(old_run))

    assert result.saved_model == old_run / "saved_model" / "2"
    assert_images(result.generator, golden["images_20"])
    assert_images(load_generator(result.saved_model), golden["images_20"])
    values = checkpoint_values(old_run, 20)
    for name in (name for name in golden if name.startswith("weights_20/")):
        # As a checkpoint calls it; a dense layer's kernel is a hidden attribute.
        variable = name.removeprefix("weights_20/").replace("1/kernel", "1/_kernel")
        value = values[f"ema_generator/_operations/{variable}/.ATTRIBUTES/VARIABLE_VALUE"]
        np.testing.assert_allclose(value, golden[name], atol=1e-5, err_msg=name)
    records = {record["step"]: record for record in result.metrics}
    # For the first two layouts, only step 16 is compared: their record of step 20 was the mean of the steps since the
    # checkpoint of step 18, and is now that of the steps since the record of step 16. Diagnoses are not compared: they
    # have been redefined.
    for line in (HERE / layout / "records.jsonl").read_text().splitlines():
        expected = json.loads(line)
        found = {name: records[expected["step"]][name] for name in expected}
        assert found == pytest.approx(expected, rel=1e-4)

    evaluation = evaluate_run(run_directory.load_run(old_run), Options(num=200))
    assert evaluation.facts["checkpoint_step"] == 20
    assert all(np.isfinite(figure.value) for figure in evaluation.figures)
