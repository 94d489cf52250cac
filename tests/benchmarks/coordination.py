"""Compares the workers' own connection to TensorFlow's coordination service: python -m tests.benchmarks.coordination

Two processes on this machine sum a number again and again, over each of the two. The command causes what can go wrong
in training, and a table shows how long the other process takes to end, with what exit code and what last line. The
service gets what TensorFlow offers: heartbeats and registration with the same limits, its key-value store to compare
settings, and PreemptionCheckpointHandler for SIGTERM. A process that still runs after LONGEST seconds is ended. About
ten minutes.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

from dcgan_tf.distributed.workers import split_address
from tests.distributed.test_workers import free_addresses

OURS, SERVICE = "own connection", "coordination service"
TIMEOUT = 10.0  # Seconds after which a worker counts as lost
PATIENCE = 120.0  # The same, where a worker starts long after the chief
LONGEST = 180.0
PAUSE = 0.05  # Stands for what a step computes
STRANGER_EVERY = 0.05
BEGUN = "step 5\n"
SECRET = "known to these workers alone"


@dataclasses.dataclass
class Worker:
    """One of two processes, whose output goes to a file."""

    process: subprocess.Popen[bytes]
    log: pathlib.Path

    def wait_for(self, text: str) -> bool:
        """Waits until the output contains a text or the process ends; returns whether the text is there."""
        end = time.monotonic() + LONGEST
        while text not in self.log.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() > end:
                return text in self.log.read_text(errors="replace")
            time.sleep(0.01)
        return True

    def ending(self, since: float) -> str:
        """How the process ended, in words: seconds, exit code and last line."""
        try:
            code = self.process.wait(max(0.0, since + LONGEST - time.monotonic()))
        except subprocess.TimeoutExpired:
            return f"still running after {LONGEST:.0f} s"
        seconds = time.monotonic() - since
        return f"{seconds:.1f} s, exit {code}: {self.last_line()}"

    def last_line(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        line = re.sub(r"127\.0\.0\.1:\d+", "HOST:PORT", (errors or lines or [""])[-1])
        return f"`{line[:160].replace('|', '/')}`"


class Pair:
    """Starts workers of one kind, and ends them."""

    def __init__(self, kind: str, folder: pathlib.Path) -> None:
        self.kind, self.folder = kind, folder
        self.addresses = free_addresses(2)
        self.workers: list[Worker] = []

    def start(self, index: int, settings: str = "", secret: str = SECRET, timeout: float = TIMEOUT) -> Worker:
        log = self.folder / f"{len(self.workers)}.log"
        arguments = [self.kind, str(index), ",".join(self.addresses), settings, str(self.folder), str(timeout)]
        environment = {**os.environ, "DCGAN_TF_WORKER_SECRET": secret, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if not secret:
            del environment["DCGAN_TF_WORKER_SECRET"]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.coordination", *arguments],
            stdout=open(log, "wb"),
            stderr=subprocess.STDOUT,
            env=environment,
        )
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    def start_both(self) -> tuple[Worker, Worker]:
        both = self.start(0), self.start(1)
        for worker in both:
            if not worker.wait_for(BEGUN):
                raise RuntimeError(worker.log.read_text(errors="replace"))
        return both


@contextlib.contextmanager
def pair(kind: str) -> Iterator[Pair]:
    with tempfile.TemporaryDirectory() as folder:
        made = Pair(kind, pathlib.Path(folder))
        try:
            yield made
        finally:
            for worker in made.workers:
                worker.process.kill()
                worker.process.wait()


def lose(number: int, lost: int) -> Callable[[Pair], str]:
    """A fault that sends a signal to one of the workers, and returns how the other ends."""

    def fault(pair: Pair) -> str:
        both = pair.start_both()
        since = time.monotonic()
        both[lost].process.send_signal(number)
        return both[1 - lost].ending(since)

    return fault


def terminate_one(pair: Pair) -> str:
    both = pair.start_both()
    since = time.monotonic()
    both[1].process.send_signal(signal.SIGTERM)
    ends = [worker.ending(since) for worker in both]
    steps = [re.findall(r"stopped at step (\d+)", worker.log.read_text(errors="replace")) for worker in both]
    return f"worker 0: {ends[0]}; worker 1: {ends[1]}; {'the same step' if steps[0] == steps[1] != [] else steps}"


def come_late(pair: Pair) -> str:
    chief = pair.start(0, timeout=PATIENCE)
    time.sleep(TIMEOUT / 2)
    since = time.monotonic()
    late = pair.start(1, timeout=PATIENCE)
    joined = late.wait_for("step 1\n") and chief.wait_for("step 1\n")
    return f"both train {time.monotonic() - since:.1f} s after its start" if joined else chief.ending(since)


def never_come(pair: Pair) -> str:
    chief = pair.start(0)
    chief.wait_for("waiting\n")
    since = time.monotonic()
    ending = chief.ending(since)
    ticks = chief.log.read_text(errors="replace").count("tick\n")
    return f"{ending}; another thread ran {ticks} times, one second apart"


def differ(pair: Pair) -> str:
    both = pair.start(0), pair.start(1, settings="3")
    both[1].wait_for("waiting\n")
    since = time.monotonic()
    return "; ".join(f"worker {index}: {worker.ending(since)}" for index, worker in enumerate(both))


def knock(pair: Pair) -> str:
    """Opens silent connections and sends garbage, from the moment the chief listens until its worker trains."""
    chief = pair.start(0, timeout=PATIENCE)
    strangers: list[socket.socket] = []
    is_over = threading.Event()

    def come() -> None:
        while not is_over.wait(STRANGER_EVERY):
            with contextlib.suppress(OSError):
                strangers.append(socket.create_connection(split_address(pair.addresses[0]), timeout=1))
                if len(strangers) % 2:
                    strangers[-1].sendall(b"\xff" * 1000)

    coming = threading.Thread(target=come)
    coming.start()
    while not strangers and chief.process.poll() is None:
        time.sleep(STRANGER_EVERY)
    since = time.monotonic()
    worker = pair.start(1, timeout=PATIENCE)
    joined = worker.wait_for(BEGUN)
    is_over.set()
    coming.join()
    for stranger in strangers:
        stranger.close()
    result = f"trains {time.monotonic() - since:.1f} s after the worker's start" if joined else chief.ending(since)
    return f"{result}; {len(strangers)} strangers connected"


def impersonate(pair: Pair) -> str:
    """A stranger that runs the same program as worker 1, but does not know the secret."""
    chief = pair.start(0, timeout=PATIENCE)
    chief.wait_for("waiting\n")
    since = time.monotonic()
    stranger = pair.start(1, secret="", timeout=PATIENCE)
    if stranger.wait_for("step 1\n"):
        return "the stranger trains in the worker's place"
    refusal = stranger.ending(since)
    joined = pair.start(1, timeout=PATIENCE).wait_for(BEGUN)
    return f"stranger: {refusal}; the worker {'then joins' if joined else 'cannot join'}"


def rejoin(pair: Pair) -> str:
    """A second worker 1 arrives while both train."""
    both = pair.start_both()
    since = time.monotonic()
    second = pair.start(1, secret="")
    second.ending(since)
    running = [worker.process.poll() is None for worker in both]
    return "both train on" if all(running) else f"worker 0: {both[0].ending(since)}; worker 1: {both[1].ending(since)}"


SCENARIOS: dict[str, Callable[[Pair], str]] = {
    "SIGKILL to worker 1": lose(signal.SIGKILL, 1),
    "SIGKILL to the chief": lose(signal.SIGKILL, 0),
    "SIGSTOP to worker 1": lose(signal.SIGSTOP, 1),
    "SIGSTOP to the chief": lose(signal.SIGSTOP, 0),
    "SIGTERM to worker 1": terminate_one,
    "worker 1 starts 5 s late": come_late,
    "worker 1 never starts": never_come,
    "settings differ": differ,
    "strangers at the chief's door, 20 per second": knock,
    "a stranger as worker 1": impersonate,
    "a second worker 1, while both train": rejoin,
}


def work(kind: str, index: str, workers: str, settings: str, folder: str, timeout: str) -> None:
    """Runs as one of two workers."""
    from dcgan_tf import progress
    from dcgan_tf.errors import UserError
    from dcgan_tf.notices import import_tensorflow

    import_tensorflow()
    print("waiting", flush=True)
    threading.Thread(target=tick, daemon=True).start()
    try:
        if kind == OURS:
            with progress.shown(False):
                work_with_own_connection(int(index), workers, int(settings or 0), float(timeout))
        else:
            work_with_service(int(index), workers.split(","), settings, folder, float(timeout))
    except UserError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        sys.exit(f"error: {type(error).__name__}: {str(error).splitlines()[0]}")


def tick() -> None:
    """Shows whether other threads run while TensorFlow waits."""
    while True:
        time.sleep(1)
        print("tick", flush=True)


def work_with_own_connection(index: int, workers: str, seed: int, timeout: float) -> None:
    from dcgan_tf.config.settings import Config
    from dcgan_tf.distributed import strategies

    config = Config(strategy="multi_worker", workers=workers, worker_index=index, worker_timeout=timeout, seed=seed)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with strategies.join(config) as (group, strategy):
        add, step = make_sum(strategy), 0
        while not group.any(stopped.is_set()):
            add()
            step += 1
            print(f"step {step}", flush=True)
    print(f"stopped at step {step}", flush=True)


def work_with_service(index: int, addresses: list[str], settings: str, folder: str, timeout: float) -> None:
    import tensorflow as tf
    from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
    from tensorflow.python.distribute.failure_handling.failure_handling import (
        PreemptionCheckpointHandler,
        TerminationConfig,
    )
    from tensorflow.python.eager import context

    milliseconds = int(1000 * timeout)
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=milliseconds,
        heartbeat_timeout_in_ms=milliseconds,
        shutdown_barrier_timeout_in_ms=milliseconds,
        coordinated_jobs=[coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=2)],
    )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": addresses}), task_type="worker", task_id=index, rpc_layer="grpc"
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    store = context.context()
    store.set_config_key_value(f"settings/{index}", json.dumps(settings))
    store.wait_at_barrier("settings", milliseconds)
    theirs = json.loads(store.get_config_key_value(f"settings/{1 - index}", milliseconds))
    if theirs != settings:
        raise ValueError(f"seed is {settings!r} on worker {index} and {theirs!r} on worker {1 - index}")
    step = tf.Variable(0)
    stop = TerminationConfig(exit_fn=lambda: leave(int(step.numpy())), grace_period=0)
    with strategy.scope():
        checkpoint = tf.train.Checkpoint(step=step)
    handler = PreemptionCheckpointHandler(resolver, checkpoint, folder, stop)
    add = make_sum(strategy)
    while True:
        handler.run(add)
        step.assign_add(1)
        print(f"step {step.numpy()}", flush=True)


def leave(step: int) -> None:
    print(f"stopped at step {step}", flush=True)
    sys.exit(0)


def make_sum(strategy: "object") -> Callable[[], None]:
    import tensorflow as tf

    from dcgan_tf.distributed.replicas import total

    run = tf.function(lambda: strategy.run(lambda: total(tf.ones([]))), autograph=False)

    def add() -> None:
        run()
        time.sleep(PAUSE)

    return add


def main() -> None:
    chosen = [name for name in SCENARIOS if not sys.argv[1:] or name in sys.argv[1:]]
    print(f"Limits of {TIMEOUT:.0f} s\n\n| What happens | {OURS} | {SERVICE} |\n|---|---|---|", flush=True)
    for name in chosen:
        cells = []
        for kind in (OURS, SERVICE):
            with pair(kind) as made:
                cells.append(SCENARIOS[name](made))
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    work(*sys.argv[1:]) if sys.argv[1:2] in ([OURS], [SERVICE]) else main()
