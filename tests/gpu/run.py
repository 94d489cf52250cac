"""Everything worth knowing about this project on a GPU, within minutes: python -m tests.gpu.run --out=DIR

The parts come in order of importance, each in a process of its own with a time limit, so that a crash or a hang costs
that part alone. results.json, report.md and the pictures in DIR are written after each part: a run that is cut off
leaves what it has. Parts of one stage run side by side on the card; those that measure speed run alone. The training
runs on faces and on CIFAR-10, which take all the time that is left, can have a call of their own:

    python -m tests.gpu.run --out=DIR                              # eight minutes at most
    python -m tests.gpu.run --out=DIR2 --parts=celeba,cifar10      # the same time for these two alone
    python -m tests.gpu.run --out=/tmp/small --small               # a try on a CPU, with figures that mean nothing

Needs the project's folder, its requirements with TensorFlow for GPUs (requirements/gpu.txt) and pytest, and no network:
MNIST is bundled. Optional are PyTorch, in any Python (--torch_python), to compare the speed with; and, for the last two
parts, celeba_10k.zip and cifar10_jpeg.zip in the folder --data, ZIP files of pictures.
"""

import contextlib
import dataclasses
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from absl import flags

from dcgan_tf.cli import command_line
from dcgan_tf.errors import UserError
from tests.gpu import report

FLAGS = flags.FLAGS
ROOT = pathlib.Path(__file__).parents[2]
MIN_SECONDS = 15.0  # With less left, a part is not begun.
LOG_BYTES = 2**18
GRACE_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Part:
    """One part.

    Attributes:
        name: The name of the part and of its entry in results.json.
        seconds: Its time limit. A part that knows it ends what it does in time.
    """

    name: str
    seconds: float


# Stages, one after the other; the parts of a stage run side by side. What each does is said in `part.PARTS`.
STAGES: tuple[tuple[Part, ...], ...] = (
    (Part("device", 40),),
    (
        Part("training", 110),
        Part("agreement", 80),
        Part("agreement_reduced", 110),
        Part("resume", 110),
        Part("tests", 110),
    ),
    (Part("speed_default", 70),),
    (Part("speed_dcgan64", 65),),
    (Part("determinism", 25),),
    (Part("profile", 30),),
    (Part("speed_tutorial", 40),),
    (Part("speed_dcgan128", 40),),
    (Part("input", 15),),
    # Whatever time is left.
    (Part("distance", 150), Part("celeba", 400), Part("cifar10", 400)),
)
# On two cores, with nothing worth a long wait.
SMALL_SECONDS = 240.0


class Results:
    """results.json and report.md, rewritten after each change."""

    def __init__(self, out: pathlib.Path, protocol: dict[str, Any]) -> None:
        self._out = out
        self.content: dict[str, Any] = {"protocol": protocol, "parts": {}}
        self.write()

    def write(self) -> None:
        """Writes both files, each whole or not at all."""
        for name, text in (
            ("results.json", json.dumps(self.content, indent=1) + "\n"),
            ("report.md", report.format_report(self.content)),
        ):
            temporary = self._out / f".{name}"
            temporary.write_text(text)
            temporary.replace(self._out / name)


class Process:
    """A part that runs."""

    def __init__(self, part: Part, command: Sequence[str], work: pathlib.Path, seconds: float) -> None:
        self.part = part
        self.seconds = seconds
        self._result_file = work / f"{part.name}.json"
        self._log_file = work / f"{part.name}.log"
        self._start = time.monotonic()
        with open(self._log_file, "wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def is_running(self) -> bool:
        """Whether the part is running; ends it if its time is up."""
        if self._process.poll() is not None:
            return False
        if time.monotonic() - self._start > self.seconds + GRACE_SECONDS:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """Ends it and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def outcome(self) -> dict[str, Any]:
        """What it found, whether it finished, and the end of its log if it did not."""
        spent = round(time.monotonic() - self._start, 1)
        try:
            found = json.loads(self._result_file.read_text())
        except (OSError, ValueError):
            found = {}
        code = self._process.returncode
        if code == 0 and found:
            return {"status": found.pop("status", "done"), "seconds": spent, **found}
        timed_out = code == -signal.SIGKILL and spent >= self.seconds
        status = f"ended after its {self.seconds:.0f} s" if timed_out else f"failed with exit code {code}"
        return {"status": status, "seconds": spent, **found, "log": self.log().splitlines()[-25:]}

    def log(self) -> str:
        """The end of what it wrote."""
        with open(self._log_file, "rb") as log:
            log.seek(max(0, self._log_file.stat().st_size - LOG_BYTES))
            return log.read().decode(errors="replace")


def run_stages(
    stages: Sequence[Sequence[Part]],
    command_of: Any,
    out: pathlib.Path,
    work: pathlib.Path,
    results: Results,
    *,
    deadline: float,
    side_by_side: bool,
) -> None:
    """Runs the parts and records each as soon as it ends.

    Args:
        stages: Stages of parts.
        command_of: Function of a part and its seconds that returns its command.
        out: Folder of what is kept.
        work: Folder of the parts' logs and results.
        results: Where the outcomes go.
        deadline: Time of time.monotonic() by which everything ends.
        side_by_side: Whether the parts of a stage run at once.
    """
    for stage in stages:
        for batch in [stage] if side_by_side else [[part] for part in stage]:
            left = deadline - time.monotonic() - GRACE_SECONDS
            if left < MIN_SECONDS:
                for part in batch:
                    results.content["parts"][part.name] = {"status": "left out: no time was left"}
                results.write()
                continue
            running = [
                Process(part, command_of(part, seconds), work, seconds)
                for part in batch
                for seconds in [min(part.seconds, left)]
            ]
            try:
                while running:
                    for process in [process for process in running if not process.is_running()]:
                        running.remove(process)
                        name, outcome = process.part.name, process.outcome()
                        results.content["parts"][name] = outcome
                        results.write()
                        with open(out / "log.txt", "a") as log:
                            log.write(f"\n===== {name}\n{process.log()}")
                        print(f"{name}: {outcome['status']}, {outcome['seconds']} s", flush=True)
                    time.sleep(0.1)
            finally:
                for process in running:
                    process.kill()
        if results.content["parts"].get("device", {}).get("stop"):
            print("error: TensorFlow does not see the GPU; log.txt says why", file=sys.stderr)
            return


def set_environment(work: pathlib.Path) -> None:
    """Settings of the driver and of XLA that the parts inherit, unless they are set."""
    # Kernels that the driver compiles for this card are kept, so that one process does it for all.
    os.environ.setdefault("CUDA_CACHE_MAXSIZE", str(2**32))
    os.environ.setdefault("CUDA_CACHE_PATH", str(work / "cuda_cache"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    os.environ["XDG_CACHE_HOME"] = str(work / "cache")
    os.environ.setdefault("TFDS_DATA_DIR", str(work / "tfds"))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(work / "torch_cache")
    if "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = " ".join(_xla_flags())


def _xla_flags() -> list[str]:
    """Where XLA finds CUDA's libdevice, and what it does without CUDA's assembler."""
    roots = sorted(pathlib.Path("/usr/local").glob("cuda*"))
    package = importlib.util.find_spec("nvidia")
    for place in (package.submodule_search_locations or ()) if package else ():
        roots += sorted(pathlib.Path(place).iterdir())
    if not roots:
        return []
    with_libdevice = [root for root in roots if (root / "nvvm" / "libdevice" / "libdevice.10.bc").is_file()]
    flags = [f"--xla_gpu_cuda_data_dir={root}" for root in with_libdevice[:1]]
    if not shutil.which("ptxas") and not any((root / "bin" / "ptxas").is_file() for root in roots):
        flags.append("--xla_gpu_unsafe_fallback_to_driver_on_ptxas_not_found")
    return flags


def define_flags() -> None:
    flags.DEFINE_string("out", "gpu_results", "Folder for results, report, log and pictures.")
    flags.DEFINE_boolean("small", False, "Try it on a CPU: tiny networks, one part at a time, and no limit of time.")
    flags.DEFINE_float("minutes", 8.0, "Time for everything.", lower_bound=0.5)
    flags.DEFINE_list("parts", [], "Only these parts, by commas, such as device,speed_default.")
    flags.DEFINE_string("data", str(ROOT.parent / "shared" / "data"), "Folder of the ZIP files of pictures.")
    flags.DEFINE_string("torch_python", sys.executable, "A Python that has PyTorch; empty to leave it out.")


def choose_stages() -> list[list[Part]]:
    """The stages that the flags ask for.

    Raises:
        UserError: An unknown part.
    """
    known = [part.name for stage in STAGES for part in stage]
    if unknown := set(FLAGS.parts) - set(known):
        raise UserError(f"--parts: unknown {', '.join(sorted(unknown))}. Expected some of: {', '.join(known)}")
    stages = [[part for part in stage if part.name in (FLAGS.parts or known)] for stage in STAGES]
    if FLAGS.small:
        stages = [[dataclasses.replace(part, seconds=SMALL_SECONDS) for part in stage] for stage in stages]
    return stages


def run() -> None:
    stages, out = choose_stages(), pathlib.Path(FLAGS.out).resolve()
    start = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(prefix="dcgan_tf-gpu-"))
    set_environment(work)
    protocol = {
        "small": FLAGS.small,
        "python": sys.version.split()[0],
        "cpu_cores": len(os.sched_getaffinity(0)),
        "xla_flags": os.environ["XLA_FLAGS"],
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }

    def command_of(part: Part, seconds: float) -> list[str]:
        options = {
            "result": work / f"{part.name}.json",
            "out": out,
            "work": work,
            "seconds": f"{seconds:.0f}",
            "data": pathlib.Path(FLAGS.data).resolve(),
            "torch_python": FLAGS.torch_python,
        }
        words = [f"--{name}={value}" for name, value in options.items()]
        return [sys.executable, "-m", "tests.gpu.part", part.name, *words, *["--small"] * FLAGS.small]

    results = Results(out, protocol)
    deadline = start + (float("inf") if FLAGS.small else 60 * FLAGS.minutes)
    try:
        run_stages(stages, command_of, out, work, results, deadline=deadline, side_by_side=not FLAGS.small)
    finally:
        protocol["seconds"] = round(time.monotonic() - start, 1)
        results.write()
        shutil.rmtree(work, ignore_errors=True)
    print((out / "report.md").read_text())
    failed = [name for name, part in results.content["parts"].items() if "failed" in part["status"]]
    if failed:
        raise UserError(f"failed: {', '.join(failed)}; {out / 'log.txt'} says more")


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.gpu.run")
