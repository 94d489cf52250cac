"""Checkpoints that are whole or absent, with a fall-back to the one before where the newest is damaged."""

import pathlib
import re
import shutil

import tensorflow as tf

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.quick import best_step
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.training.gan import GAN

PREFIX = "checkpoint"


class Checkpoints:
    """The checkpoints of a run: one folder ``step-NNNNNNNN`` each.

    Args:
        directory: holds the folders.
        checkpoint: what is saved and restored.
        keep: newest ones that stay.
    """

    def __init__(self, directory: pathlib.Path, checkpoint: tf.train.Checkpoint, keep: int = 1) -> None:
        self._directory = directory
        self._checkpoint = checkpoint
        self._keep = keep

    def steps(self) -> list[int]:
        """Steps with a checkpoint, ascending."""
        if not self._directory.is_dir():
            return []
        matches = (re.fullmatch(r"step-(\d+)", path.name) for path in self._directory.iterdir())
        return sorted(int(match.group(1)) for match in matches if match)

    def save(self, step: int, best: int | None = None) -> None:
        """Writes the checkpoint of ``step`` and removes the oldest ones, but not that of the step ``best``."""
        if step in self.steps():
            return
        temporary = self._directory / ".writing"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            self._checkpoint.write(str(temporary / PREFIX))
            temporary.rename(self._path(step))
        except (tf.errors.OpError, OSError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            newest = max(self.steps(), default=None)
            kept = f"the newest checkpoint is of step {newest}" if newest is not None else "there is none yet"
            raise UserError(
                f"the checkpoint of step {step} cannot be written to '{self._directory}' ({_reason(error)}); {kept}. "
                "Make room and repeat the command to resume"
            ) from None
        for old in self.steps()[: -self._keep]:
            if old != best:
                shutil.rmtree(self._path(old))

    def restore(self, first_choice: int | None = None) -> int | None:
        """Restores the newest checkpoint that can be read, and says of each newer one that it cannot.

        Args:
            first_choice: a step whose checkpoint is tried before the newest.

        Returns:
            Its step, or None where there is no checkpoint at all.

        Raises:
            UserError: there are checkpoints, and none can be read.
        """
        steps = self.steps()
        for step in sorted(steps, key=lambda step: (step == first_choice, step), reverse=True):
            try:
                self._checkpoint.read(str(self._path(step) / PREFIX)).assert_consumed()
            except (tf.errors.OpError, OSError, LookupError, RuntimeError, ValueError, AssertionError) as error:
                print(f"The checkpoint of step {step} is damaged ({_reason(error)}): trying another one.")
                continue
            return step
        if steps:
            raise UserError(
                f"none of the checkpoints in '{self._directory}' can be read. Remove that folder to start anew"
            )
        return None

    def set_aside_after(self, step: int) -> None:
        """Renames the checkpoints of later steps, which `restore` could not read, so that nothing counts them."""
        for later in self.steps():
            if later > step:
                aside = self._path(later).with_name(f"damaged-{self._path(later).name}")
                shutil.rmtree(aside, ignore_errors=True)
                self._path(later).rename(aside)

    def _path(self, step: int) -> pathlib.Path:
        return self._directory / f"step-{step:08d}"


def load_gan(run: Run, checkpoint: str = "best") -> tuple[GAN, int]:
    """The networks of a run at one of its checkpoints, and its step.

    Args:
        run: whose checkpoints to read.
        checkpoint: ``best``, by the evaluations during training, else the newest; ``latest``; or a step.

    Raises:
        UserError: the run has no such checkpoint.
    """
    gan = GAN(run.config)
    checkpoints = Checkpoints(run.checkpoints, gan.checkpoint())
    steps = checkpoints.steps()
    if not steps:
        raise UserError(f"--run_dir: the run in '{run.directory}' has no checkpoint yet. Train it further first")
    wanted = best_step(run.metrics_file, steps) if checkpoint == "best" else None
    if checkpoint not in ("best", "latest"):
        if not checkpoint.isdecimal() or int(checkpoint) not in steps:
            raise UserError(
                f"--checkpoint: expected best, latest, or one of the steps {', '.join(map(str, steps))}. "
                f"Received: {checkpoint!r}"
            )
        wanted = int(checkpoint)
    step = checkpoints.restore(wanted)
    if step is None or (checkpoint.isdecimal() and step != wanted):
        raise UserError(f"--checkpoint: that of step {checkpoint} cannot be read. Name another one")
    return gan, step


def _reason(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
