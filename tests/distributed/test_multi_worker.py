"""Two and three real workers on loopback, and what can happen to them.

    python -m pytest -m "long or measurement" tests/distributed/test_multi_worker.py

The long tests cover the faults of two workers. Tests that take longer are run by hand, so that the long ones stay below
ten minutes.
"""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from dcgan_tf.runs import run_directory
from dcgan_tf.runs.records import read_metrics
from tests.conftest import ROOT
from tests.distributed.test_workers import free_addresses
from tests.training.outcomes import assert_same_checkpoint, checkpoint_values
from tests.training.test_processes import wait_for

# Divisible by two and by three.
BATCH = {"batch_size": 12}


class Group:
    """Workers of one run, each with a log. They have a secret, and a proxy that would keep them from each other."""

    def __init__(self, count, folder, flags, each=None):
        addresses = free_addresses(count)
        self.logs = [pathlib.Path(folder) / f"worker-{index}.log" for index in range(count)]
        self.processes = []
        self.temporary = pathlib.Path(folder)
        environment = {
            **os.environ,
            "TMPDIR": str(folder),
            "http_proxy": "http://127.0.0.1:9",
            "DCGAN_TF_WORKER_SECRET": "known to these workers alone",
        }
        for index, log in enumerate(self.logs):
            cluster = [f"--workers={','.join(addresses)}", f"--worker_index={index}", "--strategy=multi_worker"]
            command = [sys.executable, "train.py", *flags, *cluster, *((each or {}).get(index, []))]
            self.processes.append(
                subprocess.Popen(command, cwd=ROOT, stdout=open(log, "w"), stderr=subprocess.STDOUT, env=environment)
            )

    def wait(self, seconds=300):
        """Waits for all workers; returns their exit codes."""
        return [process.wait(timeout=seconds) for process in self.processes]

    def left_over(self):
        """The workers' private temporary files, which they should have removed."""
        return list(self.temporary.glob("dcgan_tf-worker-*"))

    def output(self, index):
        return self.logs[index].read_text()

    def error(self, index):
        """The single error line of a worker that failed for a reason that can be fixed."""
        assert "Traceback" not in self.output(index), self.output(index)
        (line,) = [line for line in self.output(index).splitlines() if line.startswith("error: ")]
        return line


@pytest.fixture
def workers(tmp_path):
    """Starts workers: `workers(2, flags)`. What is still running at the end of the test is killed."""
    groups = []

    def start(count, flags, each=None):
        folder = tmp_path / f"logs-{len(groups)}"
        folder.mkdir()
        groups.append(Group(count, folder, flags, each))
        return groups[-1]

    yield start
    for group in groups:
        for process in group.processes:
            process.kill()
            process.wait()


def assert_near(first, second, step):
    """Asserts that two training runs are the same except for rounding."""
    one, two = checkpoint_values(first, step), checkpoint_values(second, step)
    assert one.keys() == two.keys()
    for name in one:
        if "kernel" in name and "optimizer" not in name:
            np.testing.assert_allclose(one[name], two[name], atol=2e-3, err_msg=name)


@pytest.mark.long
def test_killed_worker_stops_the_other_and_the_same_command_resumes_bit_for_bit(workers, small_flags, tmp_path):
    flags = small_flags(**BATCH, steps=60, checkpoint_every=15, sample_every=60, log_every=15, dropout=0.3)
    straight = workers(2, [*flags, f"--run_dir={tmp_path / 'straight'}"])
    assert straight.wait() == [0, 0], straight.output(0) + straight.output(1)
    assert "Worker 1 of 2" in straight.output(1)
    assert "step/s" not in straight.output(1)  # Progress is the chief's.
    assert "Run directory" not in straight.output(1)
    assert (tmp_path / "straight" / "saved_model" / "1").is_dir()
    assert not straight.left_over()

    killed = tmp_path / "killed"
    first = workers(2, [*flags, f"--run_dir={killed}"])
    wait_for((killed / "checkpoints" / "step-00000015").exists, FakeCommunicate(first))
    first.processes[1].send_signal(signal.SIGKILL)
    assert first.wait(60)[0] == 1
    assert first.error(0).startswith("error: worker 1 (127.0.0.1:")
    assert "is gone. Start all workers again" in first.error(0)

    again = workers(2, [*flags, f"--run_dir={killed}"])
    assert again.wait() == [0, 0], again.output(0) + again.output(1)
    assert "Resuming at step" in again.output(0)
    assert_same_checkpoint(tmp_path / "straight", killed, 60)


class FakeCommunicate:
    """Wraps a group to look like the process that `wait_for` expects."""

    def __init__(self, group):
        self.group = group

    def poll(self):
        return next((p.poll() for p in self.group.processes if p.poll() is not None), None)

    def communicate(self):
        return self.group.output(0) + self.group.output(1), None


@pytest.mark.measurement
def test_two_workers_resume_on_one_and_one_on_two(workers, command, small_flags, tmp_path):
    alone = small_flags(**BATCH, steps=12)
    straight, one, two = (tmp_path / name for name in ("straight", "one", "two"))
    result = command("train.py", *alone, f"--run_dir={straight}")
    assert result.returncode == 0, result.stderr

    group = workers(2, [*small_flags(**BATCH, steps=6), f"--run_dir={one}"])
    assert group.wait() == [0, 0], group.output(0) + group.output(1)
    result = command("train.py", f"--run_dir={one}", "--strategy=none", "--steps=12", "--workers=", "--worker_index=-1")
    assert result.returncode == 0, result.stderr
    assert "Note: this run was trained on 2 device(s) and continues on 1" in result.stdout
    assert_near(straight, one, 12)

    result = command("train.py", *small_flags(**BATCH, steps=6), f"--run_dir={two}")
    assert result.returncode == 0, result.stderr
    group = workers(2, [*alone, f"--run_dir={two}"])
    assert group.wait() == [0, 0], group.output(0) + group.output(1)
    assert "Note: this run was trained on 1 device(s) and continues on 2" in group.output(0)
    assert_near(straight, two, 12)


@pytest.mark.long
def test_sigterm_on_any_worker_leads_to_one_checkpoint(workers, small_flags, tmp_path):
    flags = small_flags(**BATCH, steps=100_000, checkpoint_every=100_000, sample_every=100_000)
    group = workers(2, [*flags, f"--run_dir={tmp_path / 'run'}"])
    wait_for(lambda: read_metrics(tmp_path / "run" / "metrics.jsonl"), FakeCommunicate(group))
    group.processes[1].send_signal(signal.SIGTERM)
    assert group.wait(60) == [0, 0], group.output(0) + group.output(1)
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    step = int(checkpoint.name.split("-")[1])
    for index in (0, 1):
        assert f"Stopped and saved at step {step:,} of 100,000" in group.output(index)
        assert f"--run_dir={tmp_path / 'run'}" in group.output(index)
    assert int(np.max(checkpoint_values(tmp_path / "run", step)["step/.ATTRIBUTES/VARIABLE_VALUE"])) == step


@pytest.mark.measurement
def test_three_workers_train_and_the_loss_of_the_chief_stops_the_others(workers, command, small_flags, tmp_path):
    flags = small_flags(**BATCH, steps=8)
    group = workers(3, [*flags, f"--run_dir={tmp_path / 'three'}"])
    assert group.wait() == [0, 0, 0], [group.output(index) for index in range(3)]
    assert run_directory.load_run(tmp_path / "three").config.replicas == 3
    result = command("train.py", *flags, f"--run_dir={tmp_path / 'one'}")
    assert result.returncode == 0, result.stderr
    assert_near(tmp_path / "one", tmp_path / "three", 8)

    endless = workers(3, [*small_flags(**BATCH, steps=100_000), f"--run_dir={tmp_path / 'lost'}"])
    wait_for((tmp_path / "lost" / "checkpoints" / "step-00000006").exists, FakeCommunicate(endless))
    endless.processes[0].send_signal(signal.SIGKILL)
    assert endless.wait(60)[1:] == [1, 1]
    assert not endless.left_over()
    for index in (1, 2):
        assert endless.error(index).startswith("error: worker 0 (127.0.0.1:")


@pytest.mark.long
def test_stopped_worker_counts_as_lost_after_the_timeout(workers, small_flags, tmp_path):
    flags = [*small_flags(**BATCH, steps=100_000), f"--run_dir={tmp_path / 'run'}", "--worker_timeout=20"]
    group = workers(2, flags)
    wait_for((tmp_path / "run" / "checkpoints" / "step-00000006").exists, FakeCommunicate(group))
    group.processes[1].send_signal(signal.SIGSTOP)  # Like a machine that hangs or a cable that is cut
    assert group.processes[0].wait(60) == 1
    assert "gave no sign of life for 20 seconds (--worker_timeout)" in group.error(0)


@pytest.mark.long
def test_port_of_a_worker_that_is_taken_stops_all_while_tensorflow_connects_them(workers, small_flags, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cluster = f"--workers={free_addresses(1)[0]},127.0.0.1:{taken.getsockname()[1]}"
        flags = [*small_flags(**BATCH), f"--run_dir={tmp_path / 'run'}"]
        group = workers(2, flags, each={0: [cluster], 1: [cluster]})
        assert group.wait(60) == [1, 1]
    assert "TensorFlow cannot connect 127.0.0.1:" in group.error(1)
    assert group.error(0).startswith("error: worker 1 (127.0.0.1:")
    assert group.error(1).removeprefix("error: ") in group.error(0)


@pytest.mark.long
def test_worker_that_never_starts_and_workers_of_other_settings_are_refused(workers, small_flags, tmp_path):
    flags = [*small_flags(**BATCH), f"--run_dir={tmp_path / 'run'}"]
    lonely = [f"--workers={','.join(free_addresses(2))}", "--worker_index=0", "--worker_timeout=3"]
    alone = workers(1, flags, each={0: lonely})
    assert alone.wait(60) == [1]
    assert "error: --workers: no sign of worker 1 (127.0.0.1:" in alone.error(0)

    different = workers(2, flags, each={1: ["--seed=3", "--dropout=0.5"]})
    assert different.wait(120) == [1, 1]
    for index in (0, 1):
        assert "--dropout is 0.0 on worker 0 and 0.5 on worker 1" in different.error(index)
        assert "--seed is 0 on worker 0 and 3 on worker 1" in different.error(index)
    assert not (tmp_path / "run").exists()
