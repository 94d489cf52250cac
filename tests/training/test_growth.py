"""A run does not grow with its steps: memory, open files and threads of the process."""

import json

import numpy as np
import pytest

from tests.conftest import SMALL

MAX_MEBIBYTES_PER_1000_STEPS = 4
EVERY = 250

SCRIPT = """
import json, os, pathlib, sys
import dcgan_tf

def used(step, metrics):
    status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    found = {
        "step": step,
        "memory": int(status["VmRSS"].split()[0]) / 1024,
        "threads": int(status["Threads"]),
        "files": len(os.listdir("/proc/self/fd")),
    }
    print(json.dumps(found), flush=True)

settings = json.loads(sys.argv[2])
dcgan_tf.train(settings.pop("dataset"), run_dir=sys.argv[1], verbose=False, on_log=used, **settings)
"""


@pytest.mark.long
def test_memory_files_and_threads_stay_the_same_over_steps(command, tmp_path):
    settings = SMALL | {
        "dataset": "mnist",
        "split": "train[:2048]",
        "steps": 2000,
        "steps_per_call": 10,
        "log_every": 10,
        "sample_every": EVERY,
        "evaluate_every": EVERY,
        "checkpoint_every": EVERY,
        "keep_checkpoints": 2,
    }
    result = command("-c", SCRIPT, tmp_path / "run", json.dumps(settings), timeout=900)
    assert result.returncode == 0, result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('{"step"')]
    by_step = {record["step"]: record for record in records}
    # By then, everything that happens once has happened. Records are compared between two evaluations. The allocator
    # takes or returns some MiB now and then, so most of the pieces must not grow, rather than all of them together.
    same_phase = [by_step[step]["memory"] for step in range(620, 2000, EVERY)]
    assert np.median(np.diff(same_phase)) < MAX_MEBIBYTES_PER_1000_STEPS * EVERY / 1000, same_phase
    early, late = by_step[620], by_step[1870]
    assert late["files"] <= early["files"]
    assert late["threads"] <= early["threads"]
