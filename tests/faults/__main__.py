"""A campaign of faults: python -m tests.faults [--kills=50] [--minutes=90] [--seed=0] [--only=kill,full] [--jobs=1]

Trains a tiny network, in one process or two, and lets something happen in the middle: SIGKILL, a full disk, a missing
permission, no more open files, a clock that jumps by ten years, a run folder that is removed or moved away, the same
command twice at once. Then the cause is removed and the same command repeated. A run survives if it ends equal, bit for
bit, to one that nothing happened to: checkpoints, records, samples and export. It is lost if it differs or cannot be
continued. A trial is unclear if a process hung or did not end with one line. The campaign prints each trial and a
table, and exits with 1 if anything is lost. All 85 trials take about 50 minutes of processor time. With --only, --limit
or --minutes it makes fewer: the first trials are always a fair sample. The faults happen in a mount namespace.
"""

import collections
import os
import pathlib
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from absl import flags

from dcgan_tf.cli import command_line

INSIDE = "DCGAN_TF_FAULTS_INSIDE"
FLAGS = flags.FLAGS


def define_flags() -> None:
    flags.DEFINE_integer("kills", 50, "Number of SIGKILLs.")
    flags.DEFINE_float("minutes", 90.0, "No trial begins later than this.")
    flags.DEFINE_integer("seed", 0, "Of the moments and of the order.")
    flags.DEFINE_list("only", [], "The faults to try; by default all.")
    flags.DEFINE_integer("limit", 1000, "At most this many trials.")
    flags.DEFINE_integer("jobs", 1, "Trials at a time.")


def run() -> None:
    from tests.faults.ground import Ground
    from tests.faults.trials import Trial, Verdict, attempt, plan_trials

    end = time.monotonic() + 60 * FLAGS.minutes
    counts: dict[tuple[str, str], collections.Counter[str]] = {}
    trials = [trial for trial in plan_trials(FLAGS.kills, FLAGS.seed) if not FLAGS.only or trial.fault in FLAGS.only]
    trials = trials[: FLAGS.limit]

    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(pathlib.Path(folder))
        for processes in sorted({trial.processes for trial in trials}):
            ground.straight(processes)

        def make(trial: Trial) -> tuple[Verdict, float] | None:
            began = time.monotonic()
            if began > end:
                return None
            try:
                return attempt(trial, ground), time.monotonic() - began
            except Exception as error:  # Also if the run lacks what it should have.
                return Verdict(lost=f"{type(error).__name__}: {error}"), time.monotonic() - began

        with ThreadPoolExecutor(FLAGS.jobs) as pool:
            for number, (trial, made) in enumerate(zip(trials, pool.map(make, trials), strict=True), start=1):
                if made is None:
                    print(f"Out of time: {len(trials) - number + 1} of {len(trials)} trials were not made.")
                    break
                verdict, seconds = made
                name = trial.fault if trial.processes == 1 else f"{trial.fault}, two processes"
                result = "lost" if verdict.lost else "missed" if verdict.missed else "survived"
                count = counts.setdefault((name, trial.phase), collections.Counter())
                count.update({result: 1, "tried": int(result != "missed"), "unclear": int(bool(verdict.unclear))})
                print(f"{number}/{len(trials)} {name}, {trial.phase}, {trial.moment:.3f}: {result}", end="")
                print(f" ({seconds:.0f} s) {verdict.said}", flush=True)
                for what in (verdict.lost, verdict.unclear and f"unclear: {verdict.unclear}", *verdict.left):
                    if what:
                        print(f"    {what}", flush=True)
    show(counts)
    sys.exit(any(count["lost"] for count in counts.values()))


def show(counts: dict[tuple[str, str], collections.Counter[str]]) -> None:
    """Prints a table with one row per fault."""
    print("\n| Fault | Phases | Tried | Survived | Lost | Unclear |\n|---|---|---|---|---|---|")
    total: collections.Counter[str] = collections.Counter()
    for fault in sorted({fault for fault, _ in counts}):
        rows = {phase: count for (name, phase), count in counts.items() if name == fault}
        row = sum(rows.values(), collections.Counter())
        total += row
        phases = ", ".join(f"{phase} {count['tried']}" for phase, count in sorted(rows.items()))
        print(f"| {fault} | {phases} | {row['tried']} | {row['survived']} | {row['lost']} | {row['unclear']} |")
    print(f"| **all** | | {total['tried']} | {total['survived']} | {total['lost']} | {total['unclear']} |")
    if total["missed"]:
        print(f"\nNot counted, because the phase had ended before the kill: {total['missed']}")


if __name__ == "__main__":
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        program = ["unshare", "--map-root-user", "--mount", sys.executable, "-m", "tests.faults", *sys.argv[1:]]
        os.execvp(program[0], program)
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.faults")
