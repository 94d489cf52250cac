"""The command `export`: what it says, and the two ways in which a model is checked before it is published."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf import load_generator
from dcgan_tf.cli.export import _evaluated
from dcgan_tf.runs.run_directory import Run, load_run
from dcgan_tf.serving import saved_model
from tests.conftest import one_line


def test_what_is_exported_is_the_generator_of_the_run(cli, points_run_dir, tmp_path):
    result = cli("export", f"--run_dir={points_run_dir}", f"--out={tmp_path / 'new' / 'out'}", "--verify=server")
    assert (result.returncode, result.stdout) == (0, f"Exported step 7 to {tmp_path / 'new' / 'out' / '1'}\n"), (
        result.stderr
    )
    exported, trained = load_generator(tmp_path / "new" / "out"), load_generator(points_run_dir)
    np.testing.assert_array_equal(exported.sample([3, 1]), trained.sample([3, 1]))


def test_figures_of_an_evaluation_count_for_its_step_only(points_run_dir, tmp_path):
    run = Run(tmp_path, load_run(points_run_dir).config)
    run.save_config()
    assert _evaluated(run, 7) == {}
    figure = {"name": "modes", "value": 8.0, "n_real": 1, "n_fake": 1, "split": "train", "network": "none"}
    content = {"checkpoint_step": 7, "images_seen": 1, "figures": [figure]}
    (tmp_path / "evaluation.json").write_text(json.dumps(content))
    assert _evaluated(run, 7) == {"evaluation/modes": 8.0}
    assert _evaluated(run, 6) == {}


@pytest.fixture
def fault(monkeypatch):
    """Makes the written models answer a little differently from the live ones."""
    build = saved_model.build_signatures

    def faulty(function):
        def answer(*inputs):
            outputs = function(*inputs)
            return outputs if tf.executing_eagerly() else {name: value + 0.1 for name, value in outputs.items()}

        return answer

    def build_faulty(networks):
        first, *_, last = build(networks)
        return [first, dataclasses.replace(last, function=faulty(last.function))]

    monkeypatch.setattr(saved_model, "build_signatures", build_faulty)


@pytest.mark.parametrize("flags", [[], ["--verify=server"]], ids=str)
def test_a_model_that_answers_otherwise_is_not_published(cli, fault, points_run_dir, tmp_path, flags):
    """The check runs in a fresh process: by default in TensorFlow, otherwise in a server's C++ session."""
    line = one_line(cli("export", f"--run_dir={points_run_dir}", f"--out={tmp_path / 'out'}", *flags))
    assert "the written model failed its check, so it was not published: discriminate: " in line
    assert "differs from the live model by up to 0.1" in line
    assert [path.name for path in (tmp_path / "out").iterdir()] == [saved_model.LOCK]


def test_mistakes_are_one_line(cli, points_run_dir, tmp_path):
    (tmp_path / "mine").touch()
    for flag, expected in (
        ("--verify=never", "--verify: expected one of: load, server. Received: 'never'"),
        ("--keep_versions=0", "--keep_versions: expected at least 1. Received: 0"),
        ("--checkpoint=99", "--checkpoint: expected best, latest, or one of the steps 7. Received: '99'"),
        (f"--out={tmp_path}", "it contains other files, such as 'mine'"),
    ):
        assert expected in one_line(cli("export", f"--run_dir={points_run_dir}", flag))
