"""The check of a written model, in both ways, within this process."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.errors import UserError
from dcgan_tf.generation.generator import load_generator
from dcgan_tf.serving import saved_model
from dcgan_tf.serving.saved_model import export_networks, read_signatures
from dcgan_tf.serving.verification import WAYS, check
from tests.small_runs import make_networks


@pytest.fixture(autouse=True)
def xla_stays(monkeypatch):
    """Keeps XLA on: the check turns it off for its whole process, which here is this one."""
    monkeypatch.setattr("dcgan_tf.serving.c_api.disable_xla", lambda: None)


@pytest.fixture
def write_cases(points_run_dir, tmp_path):
    """Writes the inputs and expected outputs of a check; returns the model's folder and the file that holds them."""
    version = shutil.copytree(points_run_dir / "saved_model" / "1", tmp_path / "1")
    generator = load_generator(points_run_dir)
    right = {"sample/inputs/seed": np.array([3, 1]), "sample/inputs/psi": np.ones(2, np.float32)}
    right |= {"sample/outputs/points": generator.sample([3, 1]), "sample/outputs/z": generator.latents([3, 1])}

    def write(**changes):
        arrays = {name: value for name, value in (right | changes).items() if value is not None}
        signatures = {"sample": read_signatures(version)["sample"]}
        np.savez(tmp_path / "cases.npz", signatures=json.dumps(signatures), **arrays)
        return version, tmp_path / "cases.npz"

    return write


@pytest.mark.parametrize("way", WAYS)
def test_differences_are_named(write_cases, way):
    assert check(*write_cases(), way) == []
    zeros = np.zeros((2, 2), np.float32)
    (line,) = check(*write_cases(**{"sample/outputs/points": zeros}), way)
    assert line.startswith("sample: points differs from the live model by up to ")
    (line,) = check(*write_cases(**{"sample/outputs/points": zeros[:1]}), way)
    assert line == "sample: points has the shape (2, 2), not (1, 2)"
    (line,) = check(*write_cases(**{"sample/outputs/z": None}), way)
    assert line == "sample: expected the outputs ['points']. Received: ['points', 'z']"
    (line,) = check(*write_cases(**{"sample/outputs/z": np.full((2, 8), np.nan, np.float32)}), way)
    assert "z differs" in line


@pytest.mark.parametrize("way", WAYS)
def test_a_missing_file_of_variables_is_found(write_cases, way):
    version, cases = write_cases()
    (data_file,) = (version / "variables").glob("*.data*")
    data_file.unlink()
    (line,) = check(version, cases, way)
    assert "variables" in line


def test_a_model_that_needs_xla_is_not_published(tmp_path, monkeypatch):
    """A server has no XLA, and only its own session can tell."""
    build = saved_model.build_signatures

    def compiled(networks):
        first, *_ = build(networks)
        return [dataclasses.replace(first, function=tf.function(first.function, jit_compile=True))]

    monkeypatch.setattr(saved_model, "build_signatures", compiled)
    networks = make_networks(architecture="mlp", generator_filters="2", discriminator_filters="2", latent_dim=2)
    with pytest.raises(UserError, match="failed its check"):
        export_networks(networks, tmp_path, keep_versions=1, verify="server")
