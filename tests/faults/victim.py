"""The command `train`, to which something happens in the middle: python -m tests.faults.victim PLAN ARGUMENTS...

The plan is JSON: the fault, the phase, the number of times that the phase was entered before, and the fault's argument.
"""

import contextlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import dcgan_tf.cli.interrupt  # noqa: F401  As train.py does

# isort: split
from dcgan_tf.cli.main import run_command
from dcgan_tf.notices import import_tensorflow

ROWS_PER_SHARD = 16  # So that even a few pictures are prepared in several pieces
DURATIONS = "durations-{process}.jsonl"
FILLER = "filler"
SECONDS_A_YEAR = 365 * 24 * 3600


class Killer:
    """Kills this process when told to, from another process, which waits for no lock of this one.

    It is started beforehand, because some phases take less time than starting a process. It ends with this one.
    """

    def __init__(self, seconds: str) -> None:
        wait_and_kill = f"read _ && sleep {seconds} && kill -KILL {os.getpid()}"
        self._process = subprocess.Popen(["sh", "-c", wait_and_kill], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __call__(self, _: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()


def fill(folder: str) -> None:
    """Fills the disk to its last byte."""
    with contextlib.suppress(OSError), open(pathlib.Path(folder, FILLER), "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def forbid(folders: str) -> None:
    """Removes the permission to write to these folders and all folders below them."""
    for folder in map(pathlib.Path, folders.split(os.pathsep)):
        for path in [*folder.rglob("*"), folder]:
            if path.is_dir():
                path.chmod(0o555)


def exhaust(_: str) -> None:
    """Lets this process open no further file."""
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def jump(years: str) -> None:
    """Sets the clock that this process's Python reads."""
    seconds, clock = float(years) * SECONDS_A_YEAR, time.time
    time.time = lambda: clock() + seconds
    time.time_ns = lambda: int(1e9 * time.time())


def move(folders: str) -> None:
    """Moves a folder away, as if it were on a network drive that is gone."""
    folder, away = folders.split(os.pathsep)
    os.rename(folder, away)


def remove(folder: str) -> None:
    shutil.rmtree(folder)


FAULTS: dict[str, Callable[[str], None]] = {
    "full": fill, "forbidden": forbid, "files": exhaust, "clock": jump, "moved": move, "removed": remove
}  # fmt: skip


def phases() -> dict[str, tuple[Any, str]]:
    """Phase -> the owner and the name of the function that is its beginning."""
    from dcgan_tf.data import prepare
    from dcgan_tf.evaluation.quick import QuickEvaluation
    from dcgan_tf.runs.checkpoints import Checkpoints
    from dcgan_tf.training import loop
    from dcgan_tf.training.gan import GAN

    return {
        "preparing": (prepare, "_build"),
        "training": (GAN, "train_steps"),  # The first call compiles.
        "evaluating": (QuickEvaluation, "measure"),
        "checkpointing": (Checkpoints, "save"),
        "exporting": (loop, "export_networks"),
    }


def intercept(plan: dict[str, Any]) -> None:
    """Lets the fault happen when its phase is entered, or records how long each phase takes."""
    faults = FAULTS | ({"kill": Killer(plan["argument"])} if plan.get("fault") == "kill" else {})
    for phase, (owner, name) in phases().items():
        original, entered = getattr(owner, name), iter(range(sys.maxsize))

        def replaced(
            *arguments: Any, phase: str = phase, original: Any = original, entered: Any = entered, **options: Any
        ):
            entry = next(entered)
            if plan.get("phase") == phase and plan["entry"] == entry:
                print(f"FAULT {plan['fault']} {phase} {entry}", flush=True)
                faults[plan["fault"]](plan["argument"])
            with recorded(plan, phase):
                result = original(*arguments, **options)
            if plan.get("phase") == phase and plan["entry"] == entry:
                print("LEFT", flush=True)
            return result

        setattr(owner, name, replaced)


@contextlib.contextmanager
def recorded(plan: dict[str, Any], phase: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    if "record" in plan:
        with open(pathlib.Path(plan["record"], DURATIONS.format(process=os.getpid())), "a") as file:
            file.write(json.dumps({"phase": phase, "seconds": time.monotonic() - start}) + "\n")


def main() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import_tensorflow()
    from dcgan_tf.data import shards

    shards.ROWS_PER_SHARD = ROWS_PER_SHARD
    intercept(json.loads(sys.argv[1]))
    run_command("train", sys.argv[2:], "python train.py")


if __name__ == "__main__":
    main()
