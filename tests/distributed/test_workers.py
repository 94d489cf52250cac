"""Workers meet, agree and lose each other: real processes without TensorFlow, on loopback."""

import json
import signal
import socket
import subprocess
import sys
import time

import pytest

from dcgan_tf.distributed.workers import Workers, split_address
from dcgan_tf.errors import UserError
from tests.conftest import ROOT

# Answers each line on standard input with the values that all workers gathered.
WORKER = """
import json, sys
from dcgan_tf.errors import UserError
from dcgan_tf.distributed.workers import Workers
addresses, index, timeout = json.loads(sys.argv[1])
try:
    with Workers(tuple(addresses), index, timeout) as workers:
        for line in sys.stdin:
            if line == "fail\\n":
                raise UserError("the disk is full")
            print(json.dumps(workers.gather(json.loads(line))), flush=True)
except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)
"""


def free_addresses(count):
    """Addresses whose ports nobody listens on. All are opened at once, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return addresses


def start(addresses, index, timeout=20.0):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, json.dumps([addresses, index, timeout])],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(processes, values):
    """Lets each worker gather its value; returns what each of them got."""
    for process, value in zip(processes, values, strict=True):
        process.stdin.write(json.dumps(value) + "\n")
        process.stdin.flush()
    return [read_answer(process) for process in processes]


def read_answer(process):
    for line in process.stdout:
        if not line.startswith("Worker "):
            return json.loads(line)
    raise AssertionError(process.stderr.read())


def end(process):
    """Exit code and the error lines of a worker that ends by itself."""
    _, errors = process.communicate(timeout=30)
    assert "Traceback" not in errors
    return process.returncode, [line for line in errors.splitlines() if line]


@pytest.fixture
def three():
    addresses = free_addresses(3)
    # Longer than a test waits: the loss of one must not show by its silence alone.
    processes = [start(addresses, index, timeout=60.0) for index in (2, 0, 1)]
    yield addresses, [processes[1], processes[2], processes[0]]
    for process in processes:
        process.kill()
        process.communicate()


def test_gather_gives_all_values_to_all_and_all_leave_together(three):
    _, processes = three
    assert ask(processes, [0, "one", {"two": [2]}]) == [[0, "one", {"two": [2]}]] * 3
    assert ask(processes, [False, True, False]) == [[False, True, False]] * 3
    for process in processes:
        process.stdin.close()
        process.stdin = None
    assert [end(process) for process in processes] == [(0, [])] * 3


@pytest.mark.parametrize("lost", [0, 2])
def test_killed_worker_stops_the_others_at_once_and_is_named(three, lost):
    addresses, processes = three
    ask(processes, [1, 1, 1])
    processes[lost].kill()
    what = f"error: worker {lost} ({addresses[lost]}) is gone"
    advice = "Start all workers again to resume from the last checkpoint"
    for index in {0, 1, 2} - {lost}:
        assert end(processes[index]) == (1, [f"{what}. {advice}"])


def test_error_of_one_worker_is_told_to_the_others(three):
    addresses, processes = three
    ask(processes, [1, 1, 1])
    processes[1].stdin.write("fail\n")
    processes[1].stdin.flush()
    assert end(processes[1]) == (1, ["error: the disk is full"])
    for index in (0, 2):
        assert end(processes[index]) == (1, [f"error: worker 1 ({addresses[1]}) stopped: the disk is full"])


def test_worker_without_a_sign_of_life_counts_as_lost():
    addresses = free_addresses(2)
    processes = [start(addresses, index, timeout=1.0) for index in (0, 1)]
    ask(processes, [1, 1])
    time.sleep(1.5)  # Longer than the time-out: quiet workers show that they are alive.
    ask(processes, [2, 2])
    processes[1].send_signal(signal.SIGSTOP)
    code, errors = end(processes[0])
    processes[1].kill()
    processes[1].communicate()
    assert code == 1
    assert errors[0].startswith(f"error: worker 1 ({addresses[1]}) gave no sign of life for 1 seconds")


def test_worker_that_never_starts_is_named_after_the_timeout():
    addresses = free_addresses(3)
    chief, first = start(addresses, 0, timeout=1.5), start(addresses, 1, timeout=1.5)
    what = f"error: `workers`: no sign of worker 2 ({addresses[2]}) within `worker_timeout=1.5` seconds"
    assert end(chief) == (1, [f"{what}. Start each with the same command and its own `worker_index`"])
    code, errors = end(first)
    assert code == 1
    assert "no sign of worker 2" in errors[0]


def test_chief_that_never_starts_is_named_after_the_timeout():
    with (
        pytest.raises(UserError, match=r"no sign of the chief \(127.0.0.1:\d+\) within `worker_timeout=0.5` sec"),
        Workers(tuple(free_addresses(2)), 1, 0.5),
    ):
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda addresses: ([addresses[0], "127.0.0.1:9"], 1), "worker 1 has the list of workers"),
        (lambda addresses: ([*addresses, "127.0.0.1:9"], 2), "worker 2 has the list of workers"),
    ],
    ids=["other", "more"],
)
def test_workers_of_different_lists_are_refused(change, message):
    addresses = free_addresses(2)
    chief, other = start(addresses, 0), start(*change(addresses))
    for process in (chief, other):
        code, errors = end(process)
        assert code == 1
        assert message in errors[0]


def test_a_single_worker_needs_nobody():
    with Workers() as workers:
        assert workers.is_chief
        assert workers.gather({"a": 1}) == [{"a": 1}]
        assert workers.any(True)
        assert not workers.any(False)


@pytest.mark.parametrize("address", ["node", "node:", ":80", "node:http", "node:0", "node:70000"])
def test_address_that_is_none_is_refused(address):
    with pytest.raises(UserError, match=r"`workers`: expected addresses such as node0:2222"):
        split_address(address)
