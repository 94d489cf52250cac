"""Where a campaign takes place: a few pictures, the runs that nothing happened to, and what a run must equal."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from dcgan_tf.runs.pictures import sample_grids
from dcgan_tf.runs.run_directory import load_run
from dcgan_tf.serving.saved_model import exported_steps, newest_version
from tests.conftest import ROOT
from tests.distributed.test_workers import free_addresses
from tests.training.outcomes import checkpoint_values, scalars

PICTURES = 240  # Enough for the evaluation during training
STEPS = 24
SETTINGS = {
    "dataset": "folder",
    "image_size": 16,
    "channels": 1,
    "batch_size": 12,
    "latent_dim": 8,
    "generator_filters": 8,
    "discriminator_filters": 8,
    "dropout": 0.3,
    "steps": STEPS,
    "steps_per_call": 2,
    "log_every": 4,
    "sample_every": 12,
    "evaluate_every": 8,
    "checkpoint_every": 6,
    "keep_checkpoints": 2,
}
TIMEOUT = 1200.0  # Seconds after which a process counts as hanging, on a machine that others use, too
LOSS_TIMEOUT = 30  # `worker_timeout`


@dataclasses.dataclass
class Ended:
    """A process that has ended, or hung and was killed."""

    code: int | None
    output: str

    @property
    def errors(self) -> list[str]:
        return [line for line in self.output.splitlines() if line.startswith("error: ")]

    def is_clear(self) -> bool:
        """Whether it ended by itself, either well or with one line that names the reason."""
        return self.code == 0 or (self.code == 1 and len(self.errors) == 1 and "Traceback" not in self.output)

    def told(self) -> str:
        """Its last words, or those that are out of place."""
        if self.code is None:
            return "it hung"
        _, traceback, rest = self.output.partition("Traceback")
        words = self.errors or self.output.splitlines()[-3:]
        return f"exit {self.code}: " + " / ".join(words)[:600] + (traceback + rest)[-1000:].replace("\n", " / ")


@dataclasses.dataclass
class Outcome:
    """What a finished run consists of, apart from what depends on the clock."""

    checkpoints: dict[int, dict[str, np.ndarray]]
    records: list[dict[str, Any]]
    grids: list[bytes]
    exported_step: int
    exported: list[bytes]

    def difference(self, other: "Outcome") -> str:
        """The first difference, in words; empty if there is none, bit for bit."""
        if self.exported_step != other.exported_step or self.checkpoints.keys() != other.checkpoints.keys():
            return f"steps {other.checkpoints.keys()}, exported {other.exported_step}"
        for step, values in self.checkpoints.items():
            if name := first_difference(values, other.checkpoints[step]):
                return f"{name} at step {step}"
        if self.exported != other.exported:
            return "the exported weights"
        if self.records != other.records:
            return "metrics.jsonl"
        return "sample grids" * (self.grids != other.grids)


def first_difference(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> str:
    if first.keys() != second.keys():
        return "the names of the weights"
    return next((name for name in first if not np.array_equal(first[name], second[name])), "")


class Ground:
    """The pictures, and the outcomes of undisturbed runs of one process and of two."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.pictures = folder / "pictures"
        self.pictures.mkdir()
        random = np.random.default_rng(0)
        for number in range(PICTURES):
            Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(self.pictures / f"{number:03d}.png")
        self._straight: dict[int, Outcome] = {}
        self.durations: dict[tuple[int, str], list[float]] = {}

    def straight(self, processes: int) -> Outcome:
        """The outcome of an uninterrupted run."""
        if processes not in self._straight:
            place = self.folder / f"straight-{processes}"
            place.mkdir()
            ended = train(place, self, processes, {index: {"record": str(place)} for index in range(processes)})
            if any(each.code != 0 for each in ended):
                raise RuntimeError(f"the run without a fault failed: {[each.output for each in ended]}")
            self._straight[processes] = outcome(place / "run")
            for path in place.glob("durations-*.jsonl"):
                durations: dict[str, list[float]] = {}
                for record in map(json.loads, path.read_text().splitlines()):
                    durations.setdefault(record["phase"], []).append(record["seconds"])
                # Only one of the workers prepares the data, and not always the same one.
                self.durations |= {(processes, phase): seconds for phase, seconds in durations.items()}
        return self._straight[processes]

    def entries(self, processes: int, phase: str) -> list[float]:
        """Seconds that each passage of a phase took in the uninterrupted run."""
        self.straight(processes)
        return self.durations[processes, phase]


def train(
    place: pathlib.Path, ground: Ground, processes: int, plans: dict[int, dict[str, Any]] | None = None
) -> list[Ended]:
    """Runs the one command of all trials in a folder, in one process or several, and waits for its end."""
    return wait(start_training(place, ground, processes, plans or {}))


def start_training(
    place: pathlib.Path, ground: Ground, processes: int, plans: dict[int, dict[str, Any]], run: str = "run"
) -> list["Started"]:
    flags = [f"--{name}={value}" for name, value in SETTINGS.items()]
    flags += [f"--data_dir={ground.pictures}", f"--run_dir={place / run}", f"--cache_dir={place / 'cache'}"]
    addresses = free_addresses(processes)
    started = []
    for index in range(processes):
        group = [f"--workers={','.join(addresses)}", f"--worker_index={index}", f"--worker_timeout={LOSS_TIMEOUT}"]
        plan = json.dumps(plans.get(index, {}))
        command = ["tests.faults.victim", plan, *flags, *(["--strategy=multi_worker", *group] * (processes > 1))]
        started.append(Started(command, place))
    return started


class Started:
    """A Python module in a process without the power to overrule permissions, with its output in a file."""

    def __init__(self, command: Sequence[str], place: pathlib.Path) -> None:
        temporary = place / "tmp"
        temporary.mkdir(exist_ok=True)
        self.log = tempfile.TemporaryFile("w+")
        bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen(
            [*bound, sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )


def wait(started: Sequence[Started]) -> list[Ended]:
    """How each of the processes ends. What hangs is killed."""
    ended = []
    for each in started:
        try:
            code: int | None = each.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            each.process.kill()
            each.process.wait()
            code = None
        each.log.seek(0)
        ended.append(Ended(code, each.log.read()))
        each.log.close()
    return ended


def outcome(directory: pathlib.Path) -> Outcome:
    """What is in the folder of a finished run."""
    run = load_run(directory)
    steps = [int(path.name.split("-")[1]) for path in run.checkpoints.glob("step-*")]
    version = newest_version(run.saved_model)
    assert version is not None
    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    names = reader.get_variable_to_shape_map().keys() - {"_CHECKPOINTABLE_OBJECT_GRAPH"}
    return Outcome(
        checkpoints={step: checkpoint_values(directory, step) for step in steps},
        records=scalars(directory),
        grids=[path.read_bytes() for path in sample_grids(run)],
        exported_step=exported_steps(run.saved_model)[-1],
        # Keras numbers them in an order that differs from process to process.
        exported=sorted(reader.get_tensor(name).tobytes() for name in names),
    )


def litter(place: pathlib.Path) -> list[str]:
    """Unfinished files that the finished run left behind."""
    hidden = re.compile(r"\.(writing|removing-|preparing-.*(?<!\.lock)$|.*\.tmp(\.\w+)?$)|shard-")
    found = [path.relative_to(place) for path in place.rglob("*") if hidden.match(path.name)]
    return [str(path) for path in found if path.parts[0] != "tmp"]  # A killed worker's temporary files stay.
