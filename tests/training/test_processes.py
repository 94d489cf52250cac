"""The main job in a process of its own, which is killed or finds the disk full."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.pictures import sample_grids
from dcgan_tf.runs.records import read_metrics
from tests.conftest import ROOT
from tests.training.outcomes import assert_same_checkpoint, scalars


def start(arguments, **environment):
    return subprocess.Popen(
        [sys.executable, "train.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(is_there, process):
    deadline = time.monotonic() + 120
    while not is_there():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_killed_and_resumed_equals_straight_bit_for_bit(cli, small_flags, tmp_path, quick_end):
    # Checkpoints lie between records, whose means continue across them.
    flags = small_flags(steps=150, checkpoint_every=36, dropout=0.3, log_every=10, sample_every=75)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    # The user's Keras settings make no difference, either.
    (tmp_path / "home" / ".keras").mkdir(parents=True)
    keras_settings = {"floatx": "float16", "image_data_format": "channels_first", "epsilon": 0.1, "backend": "jax"}
    (tmp_path / "home" / ".keras" / "keras.json").write_text(json.dumps(keras_settings))
    home = {"HOME": str(tmp_path / "home"), "TF_USE_LEGACY_KERAS": "1", "KERAS_HOME": str(tmp_path / "home" / ".keras")}
    process = start([*flags, f"--run_dir={killed}"], **home)
    wait_for((killed / "checkpoints" / "step-00000036").exists, process)
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (killed / "saved_model").exists(), "the run ended before it was killed"

    resumed = cli("train", *flags, f"--run_dir={killed}")  # The same command
    assert resumed.returncode == 0, resumed.stderr
    assert "Resuming at step" in resumed.stdout
    assert cli("train", *flags, f"--run_dir={straight}").returncode == 0
    assert_same_checkpoint(straight, killed, 150)
    assert scalars(straight) == scalars(killed)
    grids = [[path.read_bytes() for path in sample_grids(run_directory.load_run(run))] for run in (straight, killed)]
    assert grids[0] == grids[1]
    assert len(grids[0]) == 3


@pytest.mark.measurement
def test_first_step_comes_within_25_seconds_of_the_command(tmp_path):
    prepare(make_config({}))
    start_time = time.monotonic()
    process = start(["--steps=500", "--log_every=1", f"--run_dir={tmp_path}"])
    wait_for(lambda: read_metrics(tmp_path / "metrics.jsonl"), process)
    seconds = time.monotonic() - start_time
    process.kill()
    process.communicate()
    assert seconds < 25


@pytest.mark.long
def test_full_disk_is_one_line_and_the_run_resumes_once_there_is_room(small_flags, tmp_path):
    """A real full disk: a file system of 3 MB in memory, mounted in a namespace of the command's own."""
    flags = small_flags(steps=200, checkpoint_every=5, keep_checkpoints=50)
    run_dir = tmp_path / "disk" / "run"
    run_dir.parent.mkdir()
    train = f"{sys.executable} train.py --run_dir={run_dir}"
    script = f"""
        mount -t tmpfs -o size=3m tmpfs {run_dir.parent} && {train} {" ".join(flags)}; echo "exit $?"
        mount -o remount,size=60m {run_dir.parent}; {train} --keep_checkpoints=1; echo "exit $?"
    """
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs the right to make a mount namespace (unshare -rm)")
    result = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=240, env=os.environ
    )
    first, second = (part for part in result.stdout.split("exit ")[1:])
    assert first.startswith("1"), result.stdout + result.stderr
    assert second.startswith("0"), result.stdout + result.stderr
    assert "Traceback" not in result.stderr, result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, result.stderr
    assert "space" in errors[0] or "cannot be written" in errors[0]
    assert "Resuming at step" in result.stdout
