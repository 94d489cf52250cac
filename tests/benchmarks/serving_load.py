"""Serving under load: python -m tests.benchmarks.serving_load [--seconds=600] [--clients=8] [--run_dir=RUN]

A process serves two versions of an exported model by the protocols of TensorFlow Serving, in its C++ session (the
server of the tests). Clients send requests of 1 to 1,024 rows over REST and gRPC, and wrong ones over REST. After a
third of the time version 2 is loaded and gets the label "stable"; after two thirds version 1 gets it back, and version
2 is unloaded. Every answer is compared with the live generator, and every request must be answered at once: right ones
with the images of one version, wrong ones with an error. The last lines show latencies and the memory of the server.
Exits with 1 if an answer is wrong or missing. Without --run_dir, it serves small networks of the tests.
"""

import collections
import contextlib
import dataclasses
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.serving.client import Client

FLAGS = flags.FLAGS

SEEDS = 256
ROWS = (1, 1, 1, 2, 5, 8, 16, 64, 64, 200, 1024)
GRACE = 5.0  # Seconds after which no request for the other version is still on its way
# Parts of the time in which only version 1 is loaded: before version 2, and after it was unloaded.
ALONE = {"before": (0.15, 0.33), "after": (0.75, 1.0)}
DEADLINE = 60.0

# What a client may send by mistake, with the path that it is sent to.
WRONG = {
    "no JSON": (":predict", b"{"),
    "no inputs": (":predict", b'{"signature_name": "sample"}'),
    "unknown signature": (":predict", b'{"signature_name": "paint", "inputs": {"seed": [0]}}'),
    "text for a seed": (":predict", b'{"signature_name": "sample_png", "inputs": {"seed": ["a"]}}'),
    "ragged rows": (":predict", b'{"signature_name": "serving_default", "inputs": {"z": [[0.0], [0.0, 1.0]]}}'),
    "another length of z": (":predict", b'{"signature_name": "serving_default", "inputs": {"z": [[0.0]]}}'),
    "too many rows": (
        ":predict",
        json.dumps({"signature_name": "sample_png", "inputs": {"seed": [0] * 1025}}).encode(),
    ),
    "unknown version": ("/versions/99:predict", b'{"inputs": {"seed": [0]}}'),
    "unknown label": ("/labels/nobody:predict", b'{"inputs": {"seed": [0]}}'),
}


@dataclasses.dataclass
class Tally:
    """What all clients saw."""

    seconds: dict[str, list[float]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    rows: int = 0
    by_version: collections.Counter[int] = dataclasses.field(default_factory=collections.Counter)
    refused: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)


def serve(folder: str) -> None:
    """Runs as the server: prints its addresses, and moves the label at each line of its input."""
    from tests.serving.serving_stub import Model, Server

    running: collections.Counter[int] = collections.Counter()
    lock = threading.Lock()

    class Counted(Model):
        """A version that is not unloaded while it answers, as in TensorFlow Serving."""

        def run(self, signature, inputs):
            with lock:
                running[id(self)] += 1
            try:
                return super().run(signature, inputs)
            finally:
                with lock:
                    running[id(self)] -= 1

    path = pathlib.Path(folder)
    server = Server("dcgan", {1: path / "1"}, {"stable": 1})
    print(json.dumps([server.rest, server.grpc]), flush=True)
    for line in sys.stdin:
        version = int(line)
        if version not in server.models:
            server.models[version] = Counted(path / str(version))
        server.labels = {"stable": version}
        print(version, flush=True)
        if version == 1:
            time.sleep(GRACE)
            model = server.models.pop(2)
            time.sleep(GRACE)
            while running[id(model)]:
                time.sleep(0.1)
            model.session.close()
    server.close()


class ServerProcess:
    """The server's process, as the clients see it."""

    def __init__(self, folder: pathlib.Path) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.serving_load", "serve", str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.rest, self.grpc = json.loads(self._read())

    def roll_to(self, version: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{version}\n")
        self._process.stdin.flush()
        assert int(self._read()) == version

    def megabytes(self) -> float:
        if self._process.poll() is not None:
            sys.exit(f"error: the server has ended with exit code {self._process.returncode}")
        status = pathlib.Path("/proc", str(self._process.pid), "status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def export_two(folder: pathlib.Path) -> dict[int, np.ndarray]:
    """Exports two versions; returns the images that the live networks make from the first seeds."""
    from dcgan_tf.generation.networks import load_networks
    from dcgan_tf.generation.sampling import generate
    from dcgan_tf.runs.run_directory import load_run
    from dcgan_tf.serving import saved_model
    from tests.small_runs import make_networks

    networks = load_networks(load_run(FLAGS.run_dir)) if FLAGS.run_dir else make_networks()
    expected = {}
    for version in (1, 2):
        with mock.patch.object(saved_model, "_verify"):  # All answers are compared below.
            saved_model.export_networks(networks, folder, keep_versions=2)
        expected[version] = generate(networks.generator, range(SEEDS))
        for weight in networks.generator.trainable_weights:
            weight.assign(0.9 * weight)
    return expected


class Load:
    """Clients that send requests until they are told to stop.

    Attributes:
        allowed: The versions that may answer now.
    """

    def __init__(self, server: ServerProcess, expected: dict[int, np.ndarray]) -> None:
        self.allowed = {1}
        self.tally = Tally()
        self._server, self._expected = server, expected
        self._stop = threading.Event()

    @contextlib.contextmanager
    def running(self, clients: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _ask(self, number: int) -> None:
        chance = random.Random(number)
        kind = "gRPC" if number % 2 else "REST"
        address = self._server.grpc if number % 2 else self._server.rest
        # The server never refuses for a while, so a request that the client has to repeat was lost.
        client = Client(
            address,
            grpc=bool(number % 2),
            version_label="stable",
            deadline=DEADLINE,
            on_wait=lambda reason: self._fault(f"{kind}: repeated after: {reason}"),
        )
        while not self._stop.is_set():
            rows = chance.choice(ROWS)
            request: Callable[[], None]
            if chance.random() < 0.2:
                name = chance.choice(list(WRONG))
                request = lambda name=name: self._send_wrong(name)  # noqa: E731
            else:
                seeds = np.array([chance.randrange(SEEDS) for _ in range(rows)])
                request = lambda seeds=seeds: self._send_right(client, kind, seeds)  # noqa: E731
            try:
                request()
            except Exception as error:
                self._fault(f"{kind}: {type(error).__name__}: {error}")

    def _send_right(self, client: Client, kind: str, seeds: np.ndarray) -> None:
        allowed, start = set(self.allowed), time.monotonic()
        images = client.sample(seeds)
        seconds = time.monotonic() - start
        # At most one gray level apart: matrix products of other sizes round differently.
        from_version = [
            version
            for version in allowed | self.allowed
            if np.abs(images.astype(int) - self._expected[version][seeds]).max() <= 1
        ]
        if not from_version:
            self._fault(f"{kind}: {len(seeds)} rows with wrong images")
        with self.tally.lock:
            self.tally.seconds[f"{kind}, {size_of(len(seeds))}"].append(seconds)
            self.tally.rows += len(seeds)
            self.tally.by_version.update(from_version[:1])

    def _send_wrong(self, name: str) -> None:
        path, body = WRONG[name]
        request = urllib.request.Request(f"http://{self._server.rest}/v1/models/dcgan{path}", body)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE):
                self._fault(f"wrong request ({name}) was answered as if it were right")
        except urllib.error.HTTPError as error:
            if error.code not in (400, 404) or "error" not in json.loads(error.read()):
                self._fault(f"wrong request ({name}): {error}")
            with self.tally.lock:
                self.tally.refused += 1

    def _fault(self, what: str) -> None:
        with self.tally.lock:
            self.tally.faults.append(what)


def size_of(rows: int) -> str:
    return next(f"{first} to {last} rows" for first, last in ((1, 8), (9, 64), (65, 1024)) if rows <= last)


def define_flags() -> None:
    flags.DEFINE_float("seconds", 600.0, "Duration of the load.")
    flags.DEFINE_integer("clients", 8, "Clients at a time; every other one uses gRPC.")
    flags.DEFINE_string("run_dir", "", "Run whose model is served.")


def run() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        expected = export_two(path)
        server = ServerProcess(path)
        try:
            load, memory = Load(server, expected), []
            moments = [(1 / 3, 2), (2 / 3, 1)]
            start = time.monotonic()
            with load.running(FLAGS.clients):
                while (passed := (time.monotonic() - start) / FLAGS.seconds) < 1:
                    if moments and passed > moments[0][0]:
                        _, version = moments.pop(0)
                        load.allowed = {1, 2}
                        server.roll_to(version)
                        load.allowed = {version}  # A request that began before is compared with both.
                    memory.append((passed, server.megabytes()))
                    time.sleep(0.5)
        finally:
            server.close()
    report(load.tally, memory)
    sys.exit(bool(load.tally.faults))


def report(tally: Tally, memory: list[tuple[float, float]]) -> None:
    requests = sum(map(len, tally.seconds.values()))
    print(f"{requests:,} right requests of {tally.rows:,} rows, {tally.refused:,} wrong ones that were refused")
    print(f"answered by version: {dict(sorted(tally.by_version.items()))}; wrong or lost: {len(tally.faults)}")
    for fault, count in collections.Counter(tally.faults).most_common(10):
        print(f"    {count} times: {fault}")
    print("\n| Requests | Number | p50, ms | p99, ms |\n|---|---|---|---|")
    for name, seconds in sorted(tally.seconds.items()):
        median, slowest = np.percentile(seconds, [50, 99]) * 1000
        print(f"| {name} | {len(seconds):,} | {median:.1f} | {slowest:.1f} |")
    before, after = (
        np.mean([megabytes for passed, megabytes in memory if first < passed < last]) for first, last in ALONE.values()
    )
    print(
        f"\nMemory of the server: {memory[0][1]:.0f} MiB at first; with version 1 alone, {before:.0f} before version 2 "
        f"and {after:.0f} after it; {max(megabytes for _, megabytes in memory):.0f} at most"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    else:
        command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.serving_load")
