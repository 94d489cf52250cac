"""The campaign sees what is lost, and its short form loses nothing."""

import collections
import dataclasses
import re
import subprocess

import numpy as np
import pytest

from tests.faults.ground import Ended, Outcome, litter
from tests.faults.trials import PHASES, plan_trials

WHOLE = Outcome({4: {"kernel": np.ones(3)}}, [{"step": 4, "loss": 1.0}], [b"grid"], 4, [b"weights"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ""),
        ({"checkpoints": {4: {"kernel": np.array([1, 1, np.nextafter(1, 2)])}}}, "kernel at step 4"),
        ({"checkpoints": {4: {"bias": np.ones(3)}}}, "the names of the weights at step 4"),
        ({"checkpoints": {}}, "steps"),
        ({"records": []}, "metrics.jsonl"),
        ({"grids": [b"other"]}, "sample grids"),
        ({"exported_step": 2}, "exported 2"),
        ({"exported": [b"other"]}, "the exported weights"),
    ],
)
def test_any_difference_counts_as_lost(change, expected):
    difference = WHOLE.difference(dataclasses.replace(WHOLE, **change))
    assert expected in difference
    assert bool(difference) == bool(expected)


@pytest.mark.parametrize(
    ("code", "output", "is_clear"),
    [
        (0, "", True),
        (1, "error: the disk is full\n", True),
        (1, "", False),
        (1, "error: a\nerror: b\n", False),
        (1, "Traceback (most recent call last):\nerror: a\n", False),
        (-11, "error: a\n", False),
        (None, "", False),
    ],
)
def test_only_one_line_is_clear(code, output, is_clear):
    assert Ended(code, output).is_clear() == is_clear


def test_hidden_files_that_are_left_count_as_litter(tmp_path):
    left = [".writing", ".writing-3", ".removing-step-00000001", ".curves.png.1a2b3c4d.tmp", ".x.keras.1a2b.tmp.keras"]
    for name in (*left, ".lock", ".last_version", ".preparing-mnist.lock", "config.json"):
        (tmp_path / name).touch()
    assert sorted(litter(tmp_path)) == sorted(left)


def test_kills_are_at_every_phase_of_one_and_of_two_processes():
    trials = plan_trials(kills=50, seed=0)
    kills = collections.Counter((trial.phase, trial.processes) for trial in trials if trial.fault == "kill")
    assert sum(kills.values()) == 50
    assert kills.keys() == {(phase, processes) for phase in PHASES for processes in (1, 2)}
    assert {trial.fault for trial in trials if trial.phase == "exporting"} >= {"full", "forbidden", "files", "clock"}


@pytest.mark.long
@pytest.mark.parametrize("chosen", [["--only=kill", "--kills=4"], ["--only=full", "--limit=2"]], ids=["kill", "full"])
def test_short_campaign_loses_nothing(command, chosen):
    """Kills while preparing, compiling, training and checkpointing, two of them with two processes; and full disks."""
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a mount namespace (unshare --map-root-user --mount)")
    result = command("-m", "tests.faults", *chosen, timeout=3600)
    assert result.returncode == 0, result.stdout + result.stderr
    tried, survived, lost, _ = map(int, re.findall(r"\d+", result.stdout.partition("| **all** |")[2])[:4])
    assert tried >= 2
    assert (survived, lost) == (tried, 0)
