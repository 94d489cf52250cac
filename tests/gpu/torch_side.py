"""A process that runs train steps in PyTorch when asked, to compare the project's own with."""

import functools
import pathlib
import select
import subprocess

from tests.gpu.part import Context, has_gpu

SCRIPT = pathlib.Path(__file__).parents[1] / "benchmarks" / "torch_step.py"
# The end of the part's time, reserved for measuring what is ready by then.
RESERVED_SECONDS = 20.0


class TorchSide:
    """Starts at once, so that several compile at the same time; waits for its input while others are measured."""

    def __init__(self, context: Context, size: str, dtype: str, *, compiled: bool, batch_size: int) -> None:
        self._context = context
        words = [f"--size={size}", f"--dtype={dtype}", f"--batch_size={batch_size}", *["--compile"] * compiled]
        self._process = subprocess.Popen(
            [context.torch_python, str(SCRIPT), f"--device={'cuda' if has_gpu() else 'cpu'}", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # So that select sees all that was not read.
        )

    @functools.cached_property
    def description(self) -> str:
        """Version, way and device, and how many weights are trained. Waits until it is ready."""
        return self._read(RESERVED_SECONDS).removeprefix("ready ")

    def seconds(self, steps: int) -> float:
        """Runs some steps and returns the seconds that they took together."""
        assert self._process.stdin
        assert self.description
        self._process.stdin.write(f"{steps}\n".encode())
        return float(self._read())

    def close(self) -> None:
        """Ends it, whatever it does."""
        self._process.kill()
        self._process.wait()

    def _read(self, reserved_seconds: float = 0.0) -> str:
        assert self._process.stdout
        seconds = max(0.1, self._context.seconds_left - reserved_seconds)
        readable, _, _ = select.select([self._process.stdout], [], [], seconds)
        if not readable:
            raise TimeoutError("PyTorch did not answer in time")
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise RuntimeError("PyTorch ended early: the log says why")
        return line
