"""How long sums over two and three workers on this machine take: python -m tests.benchmarks.sums

Two processes on one core each, then three processes on the same two cores, as in tests.benchmarks.scaling, sum vectors
of several lengths and do nothing else.
"""

import json
import os
import subprocess
import sys
import time

import tensorflow as tf

from tests.benchmarks.scaling import cores
from tests.distributed.test_workers import free_addresses

LENGTHS = {64: 20, 1_000_000: 5, 5_000_000: 2}  # Numbers in a vector -> sums in a call
CALLS = 5


def work() -> None:
    """Runs as one of the workers that TF_CONFIG names."""
    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def sums(length: int, count: int) -> tf.Tensor:
        values = tf.ones([length])
        for _ in range(count):
            values = 0.5 * tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
        return values

    for length, count in LENGTHS.items():
        run = tf.function(lambda length=length, count=count: strategy.run(sums, args=(length, count)))
        run()
        start = time.perf_counter()
        for _ in range(CALLS):
            run()
        milliseconds = 1000 * (time.perf_counter() - start) / CALLS / count
        if strategy.cluster_resolver.task_id == 0:
            print(f"{4 * length / 2**20:.4f} MiB: {milliseconds:.2f} ms per sum", flush=True)


def measure(processes: int) -> None:
    """Lets that many workers sum, and prints what the first one measures."""
    addresses = free_addresses(processes)
    workers = []
    for index in range(processes):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "TF_CONFIG": json.dumps(task), "TF_CPP_MIN_LOG_LEVEL": "3"}
        pinned = ["taskset", "-c", cores(index, processes)]
        command = [*pinned, sys.executable, "-m", "tests.benchmarks.sums", "worker"]
        workers.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
    if max(worker.wait() for worker in workers):
        raise RuntimeError("a worker failed")


def main() -> None:
    for processes in (2, 3):
        print(f"{processes} workers", flush=True)
        measure(processes)


if __name__ == "__main__":
    work() if sys.argv[1:] == ["worker"] else main()
