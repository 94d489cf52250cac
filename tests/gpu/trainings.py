"""Training runs as users start them: the default run, one that is killed, and those that two cores cannot do."""

import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree
import zipfile
from typing import Any

import numpy as np
from PIL import Image

from tests.conftest import SMALL
from tests.gpu.part import Context

ROOT = pathlib.Path(__file__).parents[2]
# What a run needs at its end to save.
STOP_SECONDS = 20.0
DEFAULT_RUN = "default_run"


def train_default(context: Context) -> dict[str, Any]:
    """The default run from the command to its export. Its grid, and the run without what only training needs, stay."""
    run_dir = context.work / DEFAULT_RUN
    settings = (
        {**SMALL, "split": "train", "steps": 40, "evaluate_every": 20, "sample_every": 20} if context.small else {}
    )
    command = _train_command(run_dir, {"dataset": "mnist", **settings})
    start = time.monotonic()
    first_record = _wait_for(subprocess.Popen(command, cwd=ROOT), run_dir / "metrics.jsonl", context.seconds_left)
    findings = {
        "command": _as_typed(command),
        "seconds_to_first_record": first_record and round(first_record - start, 1),
        "seconds_to_export": round(time.monotonic() - start, 1),
        **_summary(run_dir),
    }
    context.save(findings)
    if not list(run_dir.glob("saved_model/*/saved_model.pb")):
        return findings | {"status": "failed: no export"}
    context.keep(run_dir / "final_grid.png", "default_grid.png")
    _pack(run_dir, context.out / "default_run.tar.gz")
    return findings


def evaluate_default(context: Context) -> dict[str, Any]:
    """Metrics of the default run, by a classifier trained here: the same recipe as on the CPU, but other weights."""
    import dcgan_tf  # noqa: F401
    from dcgan_tf.evaluation import classifier
    from dcgan_tf.evaluation.evaluator import Options, evaluate_run
    from dcgan_tf.runs.run_directory import load_run

    if context.small:
        classifier.STEPS = 10
    run_dir = context.work / DEFAULT_RUN
    if not (run_dir / "config.json").exists():
        return {"status": "left out: there is no default run"}
    evaluation = evaluate_run(load_run(run_dir), Options(num=500 if context.small else 10_000))
    return {
        "facts": evaluation.facts,
        "networks": {network.name: network.description for network in evaluation.networks},
        "figures": {
            figure.name: {"value": figure.value, "error": figure.standard_error, "real_images": figure.real_value}
            for figure in evaluation.figures
        },
    }


def resume_killed(context: Context) -> dict[str, Any]:
    """A run that was killed and resumed, compared with one that was not: weights, slots and records, bit for bit."""
    steps, every = (40, 10) if context.small else (2000, 100)
    settings: dict[str, Any] = {
        "dataset": "mnist", "steps": steps, "checkpoint_every": every, "log_every": every, "evaluate_every": 0,
        "sample_every": steps,
    }  # fmt: skip
    if context.small:
        settings = {**SMALL, **settings}
    straight, killed = context.work / "straight", context.work / "killed"
    subprocess.run(_train_command(straight, settings), cwd=ROOT, check=True, timeout=context.seconds_left)
    process = subprocess.Popen(_train_command(killed, settings), cwd=ROOT)
    _wait_for(process, killed / "checkpoints" / f"step-{every:08d}", context.seconds_left, kill=True)
    at = max(int(path.name.removeprefix("step-")) for path in killed.glob("checkpoints/step-*"))
    subprocess.run(_train_command(killed, {}), cwd=ROOT, check=True, timeout=context.seconds_left)
    findings: dict[str, Any] = {"killed_after_step": at, "of": steps, **compare_runs(straight, killed, steps)}
    if not 0 < at < steps:
        findings["status"] = f"failed: killed too late, at step {at} of {steps}"
    elif findings["different"] or not findings["same_records"]:
        findings["status"] = "failed: the resumed run differs"
    return findings


def compare_runs(first: pathlib.Path, second: pathlib.Path, step: int) -> dict[str, Any]:
    """Which arrays of two runs' checkpoints differ, and whether their records are the same."""
    import tensorflow as tf

    readers = [
        tf.train.load_checkpoint(str(run_dir / "checkpoints" / f"step-{step:08d}" / "checkpoint"))
        for run_dir in (first, second)
    ]
    names = [name for name in readers[0].get_variable_to_shape_map() if not name.startswith("_CHECKPOINTABLE")]
    different = [name for name in names if not np.array_equal(*(reader.get_tensor(name) for reader in readers))]
    records = [
        [
            {name: value for name, value in record.items() if not name.startswith("perf/")}
            for record in _records(run_dir)
        ]
        for run_dir in (first, second)
    ]
    return {"arrays": len(names), "different": different[:9], "same_records": records[0] == records[1]}


def run_tests(context: Context) -> dict[str, Any]:
    """The tests that need a GPU. On a CPU all of them are skipped."""
    report = context.work / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-m", "gpu", "tests/gpu", f"--junitxml={report}"]
    process = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=ROOT, timeout=context.seconds_left)
    if not report.exists():
        return {"status": f"failed: pytest ended with {process.returncode}"}
    cases = xml.etree.ElementTree.parse(report).getroot().iter("testcase")
    outcomes: dict[str, str] = {}
    for case in cases:
        problem = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        name = case.get("name", "")
        outcomes[name] = "passed" if problem is None else f"{problem.tag}: {(problem.get('message') or '')[:300]}"
    findings: dict[str, Any] = {"outcomes": outcomes}
    if any(outcome.startswith(("failure", "error")) for outcome in outcomes.values()):
        findings["status"] = "failed: " + ", ".join(
            n for n, o in outcomes.items() if o.startswith(("failure", "error"))
        )
    return findings


def train_celeba(context: Context) -> dict[str, Any]:
    """Faces at 64 pixels with the paper's networks, for as long as there is time."""
    settings = {"preset": "dcgan", "image_size": "64", "crop_size": 64, "flip": True, "ema_decay": 0.999}
    return _train_while_time(context, "celeba_10k.zip", "celeba_10k", settings)


def train_cifar10(context: Context) -> dict[str, Any]:
    """CIFAR-10 by class with the paper's networks, for as long as there is time."""
    settings = {"preset": "dcgan", "image_size": "32", "conditional": True, "ema_decay": 0.999}
    return _train_while_time(context, "cifar10_jpeg.zip", "cifar10_jpeg", settings)


def _train_while_time(context: Context, archive: str, folder: str, settings: dict[str, Any]) -> dict[str, Any]:
    pictures = context.work / folder
    if context.small:
        _draw_pictures(pictures, classes=("a", "b") if settings.get("conditional") else ("",))
        settings = {**SMALL, **settings, "crop_size": 0, "split": "train", "channels": "3", "preset": "default"}
        settings |= {"generator_filters": "8", "discriminator_filters": "8", "image_size": "16", "steps": 20}
    elif not (context.data / archive).exists():
        return {"status": f"left out: {archive} is not in --data"}
    else:
        zipfile.ZipFile(context.data / archive).extractall(context.work)
    run_dir = context.work / f"{context.name}_run"
    fixed = {"dataset": "folder", "data_dir": pictures, "log_every": 200, "sample_every": 500}
    if not context.small:
        fixed["steps"] = 1_000_000
    process = subprocess.Popen(_train_command(run_dir, {**settings, **fixed}), cwd=ROOT)
    try:
        process.wait(max(1.0, context.seconds_left - STOP_SECONDS))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # It finishes the step and saves.
        process.wait(STOP_SECONDS)
    findings = {"settings": {name: str(value) for name, value in settings.items()}, **_summary(run_dir)}
    grids = sorted(run_dir.glob("samples/step-*.png"))
    if not grids:
        return findings | {"status": "failed: no samples"}
    context.keep(grids[-1], f"{context.name}_grid.png")
    return findings | {"grid": grids[-1].stem}


def _train_command(run_dir: pathlib.Path, settings: dict[str, Any]) -> list[str]:
    flags = [f"--{name}={str(value).lower() if value in (True, False) else value}" for name, value in settings.items()]
    return [sys.executable, "train.py", f"--run_dir={run_dir}", *flags]


def _as_typed(command: list[str]) -> str:
    return " ".join(["python", *(word for word in command[1:] if not word.startswith("--run_dir="))])


def _wait_for(process: subprocess.Popen, path: pathlib.Path, seconds: float, *, kill: bool = False) -> float | None:
    """Waits until a process ends or, with `kill`, kills it once a path exists; returns when the path was first seen."""
    deadline, seen = time.monotonic() + seconds, None
    while process.poll() is None and time.monotonic() < deadline:
        if seen is None and path.exists() and (path.is_dir() or path.stat().st_size):
            seen = time.monotonic()
            if kill:
                break
        time.sleep(0.005)
    if process.poll() is None:
        process.kill()
        process.wait()
    return seen


def _records(run_dir: pathlib.Path) -> list[dict[str, Any]]:
    path = run_dir / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _summary(run_dir: pathlib.Path) -> dict[str, Any]:
    """How far a run came, how fast, and its quick distances."""
    records = _records(run_dir)
    speeds = [record["perf/images_per_sec"] for record in records if "perf/images_per_sec" in record]
    distances = {
        str(record["step"]): value for record in records for name, value in record.items() if name.startswith("metric/")
    }
    failures = sorted({name for record in records for name, value in record.items() if _is_failure(name, value)})
    return {
        "step": records[-1]["step"] if records else 0,
        "images_per_second": statistics.median(speeds) if speeds else None,
        "quick_distances": distances,
        "diagnoses": failures,
        "finite": all(np.isfinite(list(record.values())).all() for record in records),
    }


def _is_failure(name: str, value: float) -> bool:
    states = ("collapse", "discriminator_wins", "generator_wins", "oscillation")
    return name.removeprefix("diagnosis/") in states and value == 1


def _pack(run_dir: pathlib.Path, target: pathlib.Path) -> None:
    """The best checkpoint without the optimizers, and the records: what is needed to evaluate the run elsewhere."""
    import dcgan_tf  # noqa: F401

    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import tensorflow as tf

    from dcgan_tf.generation.networks import load_networks
    from dcgan_tf.runs.checkpoints import Checkpoints
    from dcgan_tf.runs.run_directory import load_run

    networks = load_networks(load_run(run_dir))
    packed = run_dir.with_name("packed") / run_dir.name
    packed.mkdir(parents=True)
    checkpoint = tf.train.Checkpoint(ema_generator=networks.generator, discriminator=networks.discriminator)
    Checkpoints(packed / "checkpoints", checkpoint).save(networks.step)
    for name in ("config.json", "metrics.jsonl"):
        (packed / name).write_bytes((run_dir / name).read_bytes())
    with tarfile.open(target, "w:gz") as archive:
        archive.add(packed, run_dir.name)


def _draw_pictures(folder: pathlib.Path, classes: tuple[str, ...], count: int = 48) -> None:
    random = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            Image.fromarray(random.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / name / f"{number}.png")
