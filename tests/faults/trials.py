"""The trials of a campaign: what happens, when, to how many processes, and what counts as survived."""

import dataclasses
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable

from tests.faults.ground import Ended, Ground, Started, litter, outcome, start_training, train, wait
from tests.faults.victim import FILLER

PHASES = ("preparing", "compiling", "training", "checkpointing", "evaluating", "exporting")
DISK_BYTES = 64 * 2**20
KILLED = -signal.SIGKILL


@dataclasses.dataclass(frozen=True)
class Trial:
    """One fault at one moment.

    Attributes:
        fault: A name of `victim.FAULTS`, or of COMMANDS.
        phase: One of PHASES.
        processes: How many train together.
        moment: From 0 to 1, within all passages of the phase.
    """

    fault: str
    phase: str
    processes: int = 1
    moment: float = 0.0


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How a trial ended.

    Attributes:
        lost: What is lost; empty if the run is complete and equal to one that nothing happened to.
        unclear: What was said, if it was not a single line; empty otherwise.
        missed: Whether the phase had ended before the fault came.
        left: Unfinished files that stayed.
        said: How the process that the fault happened to ended.
    """

    lost: str = ""
    unclear: str = ""
    missed: bool = False
    left: tuple[str, ...] = ()
    said: str = ""


def plan_trials(kills: int, seed: int) -> list[Trial]:
    """All trials, shuffled so that the first ones, however many, are a fair sample."""
    chance = random.Random(seed)
    trials = [
        # Two of five kills hit one of two processes.
        Trial("kill", PHASES[number % len(PHASES)], 2 if number % 5 in (1, 3) else 1, chance.random())
        for number in range(kills)
    ]
    trials += [Trial(fault, phase, 1, chance.random()) for fault in SINGLE_FAULTS for phase in PHASES]
    trials += [Trial(fault, phase, 1, 0.5) for fault in ("moved", "removed") for phase in PHASES[2:]]
    trials += [Trial(command, "at once") for command in COMMANDS]
    chance.shuffle(trials)
    return trials


SINGLE_FAULTS = ("full", "forbidden", "files", "clock")


def attempt(trial: Trial, ground: Ground) -> Verdict:
    """Makes a trial in a folder of its own."""
    with tempfile.TemporaryDirectory(dir=ground.folder) as folder:
        place = pathlib.Path(folder)
        disk = trial.fault == "full"
        if disk:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", place], check=True)
        try:
            return COMMANDS[trial.fault](place, ground) if trial.fault in COMMANDS else _suffer(trial, place, ground)
        finally:
            if disk:
                subprocess.run(["umount", "--lazy", place], check=True)


def _suffer(trial: Trial, place: pathlib.Path, ground: Ground) -> Verdict:
    """Lets a fault happen to a run, undoes it, repeats the same command, and compares the result."""
    chosen = [int(trial.moment * 1000) % trial.processes]
    if trial.phase == "preparing":  # Only one of the workers prepares the data, whichever comes first.
        chosen = list(range(trial.processes))
    elif trial.phase == "exporting":  # Only the chief exports.
        chosen = [0]
    first = train(place, ground, trial.processes, dict.fromkeys(chosen, _plan(trial, place, ground)))
    hit = [each for each in first if "FAULT " in each.output]
    if trial.fault == "kill":
        hit = [each for each in hit if each.code == KILLED and "LEFT" not in each.output]
        unclear = _first_unclear([each for each in first if each not in hit]) if hit else ""
    else:
        unclear = _first_unclear(first)
    _undo(trial, place)
    verdict = _finish(trial.processes, place, ground)
    said = (hit or first)[0].told()
    return dataclasses.replace(verdict, unclear=unclear or verdict.unclear, missed=not hit, said=said)


def _plan(trial: Trial, place: pathlib.Path, ground: Ground) -> dict[str, object]:
    """Where exactly the fault happens: every second that the phase takes in a whole run is equally likely."""
    phase = "training" if trial.phase == "compiling" else trial.phase
    durations = ground.entries(trial.processes, phase)
    if trial.phase == "compiling":
        entry, seconds = 0, trial.moment * durations[0]
    else:
        first = 1 if phase == "training" else 0
        left, entry = trial.moment * sum(durations[first:]), first
        while entry < len(durations) - 1 and left > durations[entry]:
            left -= durations[entry]
            entry += 1
        seconds = left
    run, away = place / "run", place / "away"
    argument = {
        # A phase does not always take as long as in the recorded run.
        "kill": f"{0.8 * seconds:.4f}",
        "full": str(place),
        "forbidden": f"{run}{os.pathsep}{place / 'cache'}",
        "files": "",
        "clock": "10" if trial.moment < 0.5 else "-10",
        "moved": f"{run}{os.pathsep}{away}",
        "removed": str(run),
    }
    return {"fault": trial.fault, "phase": phase, "entry": entry, "argument": argument[trial.fault]}


def _undo(trial: Trial, place: pathlib.Path) -> None:
    if trial.fault == "full":
        (place / FILLER).unlink(missing_ok=True)
    elif trial.fault == "forbidden":
        for path in place.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
    elif trial.fault == "moved" and (place / "away").exists():
        if (place / "run").exists():  # What the process made in its place: nothing is lost with it.
            shutil.rmtree(place / "run")
        (place / "away").rename(place / "run")


def _finish(processes: int, place: pathlib.Path, ground: Ground, run: str = "run") -> Verdict:
    """Repeats the same command until its end, and compares."""
    straight = ground.straight(processes)
    second = wait(start_training(place, ground, processes, {}, run))
    if any(each.code != 0 for each in second):
        return Verdict(lost=f"the same command fails: {[each.told() for each in second]}")
    return _compared(straight.difference(outcome(place / run)), place)


def _compared(difference: str, place: pathlib.Path) -> Verdict:
    return Verdict(lost=difference and f"it differs: {difference}", left=tuple(litter(place)))


def _first_unclear(ended: list[Ended]) -> str:
    return next((each.told() for each in ended if not each.is_clear()), "")


def two_on_one_run(place: pathlib.Path, ground: Ground) -> Verdict:
    """The same command twice at once: one trains, the other is refused."""
    both = wait([start_training(place, ground, 1, {})[0] for _ in range(2)])
    codes = sorted(-1 if each.code is None else each.code for each in both)
    refused = [each for each in both if each.code == 1]
    unclear = (
        "" if codes == [0, 1] and "in use by another process" in refused[0].told() else str([b.told() for b in both])
    )
    return dataclasses.replace(_finish(1, place, ground), unclear=unclear)


def two_on_one_cache(place: pathlib.Path, ground: Ground) -> Verdict:
    """Two runs that need the same prepared data at once."""
    both = wait([start_training(place, ground, 1, {}, run)[0] for run in ("run", "other")])
    if any(each.code != 0 for each in both):
        return Verdict(lost=str([each.told() for each in both]))
    differences = [ground.straight(1).difference(outcome(place / run)) for run in ("run", "other")]
    return _compared(next(filter(None, differences), ""), place)


def three_exports(place: pathlib.Path, ground: Ground) -> Verdict:
    """Three exports of one run at once."""
    train(place, ground, 1)
    command = ["dcgan_tf", "export", f"--run_dir={place / 'run'}", "--keep_versions=10"]
    ended = wait([Started(command, place) for _ in range(3)])
    if any(each.code != 0 for each in ended):
        return Verdict(lost=str([each.told() for each in ended]))
    versions = sorted(path.name for path in (place / "run" / "saved_model").iterdir() if path.name.isdigit())
    if versions != ["1", "2", "3", "4"]:
        return Verdict(lost=f"versions {versions}")
    return _compared(ground.straight(1).difference(outcome(place / "run")), place)


COMMANDS: dict[str, Callable[[pathlib.Path, Ground], Verdict]] = {
    "two processes that train one run": two_on_one_run,
    "two processes that train with one cache": two_on_one_cache,
    "three exports of one run": three_exports,
}
