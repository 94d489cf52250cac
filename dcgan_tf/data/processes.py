"""Runs jobs in processes on all cores. A source of pictures decodes its shards there."""

import multiprocessing.context
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from dcgan_tf.errors import UserError

Result = TypeVar("Result")


def core_count() -> int:
    """The number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_processes(jobs: Sequence[Callable[[], Result]]) -> Iterator[Result]:
    """Runs picklable jobs in parallel on all cores, and yields their results in any order.

    Raises:
        UserError: The system killed a process.
    """
    workers = min(core_count(), len(jobs)) or 1
    try:
        pool: Executor = ProcessPoolExecutor(workers, _Context(), _start_worker, initargs=(os.getpid(),))
    except OSError:  # Processes need locks, and those need a writable /dev/shm.
        pool = ThreadPoolExecutor(1)
    with pool:
        try:
            for finished in as_completed([pool.submit(job) for job in jobs]):
                yield finished.result()
        except BrokenProcessPool:
            raise UserError(
                "a process that decoded pictures was killed, perhaps because memory ran out. Repeat the command "
                "to continue"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


_STARTING = threading.Lock()


class _Process(multiprocessing.context.SpawnProcess):
    """A process that does not run the program's main script, which would start the training again in each process."""

    def start(self) -> None:
        main = vars(sys.modules["__main__"])
        with _STARTING:  # Two threads that hide and restore the script at once could lose it.
            script: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
            main.update(dict.fromkeys(script))
            try:
                super().start()
            finally:
                main.update(script)


class _Context(multiprocessing.context.SpawnContext):
    """Starts new processes instead of forking: a fork would break the threads that TensorFlow has started."""

    Process = _Process


def _start_worker(parent: int) -> None:
    """Ignores Ctrl-C, which reaches every process of a terminal and is the parent's to handle; ends with the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The parent passes its own process ID, because it may have been killed before this process could ask for it.
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
