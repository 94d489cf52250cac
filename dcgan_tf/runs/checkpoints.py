"""Checkpoints that are complete or absent, with a fallback if one is damaged."""

import json
import pathlib
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence

import tensorflow as tf

from dcgan_tf import files
from dcgan_tf.errors import UserError
from dcgan_tf.progress import logger
from dcgan_tf.runs.records import best_step
from dcgan_tf.runs.run_directory import Run

PREFIX = "checkpoint"
UNRECORDED = "unrecorded.json"


class Checkpoints:
    """The checkpoints of a run, each in a folder ``step-NNNNNNNN``.

    Args:
        directory: The folder of the checkpoints.
        checkpoint: The objects to save and restore.
        keep: Number of most recent checkpoints to keep.
        is_partial: Whether ``checkpoint`` contains only some of the saved objects; the others are not read.
    """

    def __init__(
        self, directory: pathlib.Path, checkpoint: tf.train.Checkpoint, keep: int = 1, *, is_partial: bool = False
    ) -> None:
        self._directory = directory
        self._checkpoint = checkpoint
        self._keep = keep
        self._is_partial = is_partial
        self._damaged: list[int] = []

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, in ascending order."""
        if not self._directory.is_dir():
            return []
        numbers = (re.fullmatch(r"step-(\d{8,})", path.name, re.ASCII) for path in self._directory.iterdir())
        steps = {int(match[1]) for match in numbers if match}
        return sorted(step for step in steps if self._path(step).is_dir())

    def save(self, step: int, best: int | None = None, unrecorded: Mapping[str, float] | None = None) -> None:
        """Writes the checkpoint of ``step`` and removes the oldest ones, except that of the step ``best``.

        What cannot be removed stays, with a warning.

        Args:
            step: The step of the checkpoint. A checkpoint that it already has is kept.
            best: A step whose checkpoint is kept.
            unrecorded: Sums of scalars since the last record, which a resumed run continues.
        """
        files.remove_leftovers(self._directory)
        if step not in self.steps():
            self._write(step, dict(unrecorded or {}))
        files.discard(self._path(old) for old in self.steps()[: -self._keep] if old != best)

    def _write(self, step: int, unrecorded: dict[str, float]) -> None:
        temporary = self._directory / files.WRITING
        try:
            # Without parents: if the run is gone, a folder with nothing but a checkpoint could not be resumed.
            self._directory.mkdir(exist_ok=True)
            files.remove(temporary)
            temporary.mkdir()
            with files.plain_path(temporary) as path:
                self._checkpoint.write(str(path / PREFIX))
            (temporary / UNRECORDED).write_text(json.dumps(unrecorded) + "\n")
            temporary.rename(self._path(step))
        except (tf.errors.OpError, OSError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            newest = max(self.steps(), default=None)
            kept = f"the newest checkpoint is of step {newest}" if newest is not None else "there is none yet"
            raise UserError(
                f"the checkpoint of step {step} cannot be written to '{self._directory}' ({files.reason(error)}); "
                f"{kept}. {files.way_on(error)} and repeat the command to resume"
            ) from None

    def restore(self, order: Iterable[int] | None = None) -> int | None:
        """Restores the first intact checkpoint, and logs a warning for each damaged one before it.

        Args:
            order: The steps in the order to try them. Default: the newest first.

        Returns:
            The step of the checkpoint, or None if there is no checkpoint at all.

        Raises:
            UserError: All checkpoints are damaged, an intact one cannot be restored, or another process removes it.
        """
        tried = []
        for step in self.steps()[::-1] if order is None else order:
            tried.append(step)
            try:
                with files.plain_path(self._path(step)) as path:
                    status = self._checkpoint.read(str(path / PREFIX))
                    if self._is_partial:
                        status.expect_partial().assert_existing_objects_matched()
                    else:
                        status.assert_consumed()
            except (tf.errors.OpError, OSError, LookupError, RuntimeError, ValueError, AssertionError) as error:
                is_damaged = self._is_damaged(step)
                if not self._path(step).is_dir():
                    raise UserError(
                        f"the checkpoint of step {step} in '{self._directory}' was removed by another process while it "
                        "was read. Repeat the command"
                    ) from None
                if not is_damaged:
                    raise UserError(
                        f"the checkpoint of step {step} in '{self._directory}' is intact but cannot be restored: "
                        f"{files.reason(error)}. Does config.json have the settings with which the run was trained?"
                    ) from None
                logger.warning("The checkpoint of step %d is damaged (%s).", step, files.reason(error))
                self._damaged.append(step)
                continue
            return step
        if tried:
            raise UserError(
                f"damaged checkpoints in '{self._directory}': step {', '.join(map(str, tried))}. No other is left. "
                "Nothing was removed. Restore a copy, choose another `checkpoint`, or train again in another `run_dir`"
            )
        return None

    def set_aside_damaged(self) -> None:
        """Renames the checkpoints that `restore` found damaged, so that they no longer count.

        Raises:
            UserError: A checkpoint cannot be renamed.
        """
        for step in self._damaged:
            aside = self._path(step).with_name(f"damaged-{self._path(step).name}")
            try:
                files.remove(aside)
                self._path(step).rename(aside)
            except OSError as error:
                raise UserError(
                    f"the damaged checkpoint '{self._path(step)}' cannot be renamed: {files.reason(error)}. "
                    f"{files.way_on(error)} and repeat the command"
                ) from None
        self._damaged.clear()

    def _is_damaged(self, step: int) -> bool:
        """Whether bytes of a checkpoint are missing or wrong, according to its checksums.

        It is not checked whether the checkpoint fits the networks.

        Raises:
            UserError: The files cannot be read, so there is no answer.
        """
        folder = self._path(step)
        try:
            for file in folder.iterdir():
                if file.is_file():
                    with open(file, "rb") as content:
                        while content.read(2**24):
                            pass
            with files.plain_path(folder) as path:
                reader = tf.train.load_checkpoint(str(path / PREFIX))
                for name in reader.get_variable_to_shape_map():
                    reader.get_tensor(name)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise UserError(
                f"the checkpoint of step {step} cannot be read: {error.strerror}: '{error.filename or folder}'. "
                "It may be intact: make it readable and repeat the command"
            ) from None
        except (tf.errors.OpError, LookupError, RuntimeError, ValueError):
            return True
        return False

    def unrecorded(self, step: int) -> dict[str, float]:
        """The sums that `save` wrote; empty if they cannot be read or an older release wrote none."""
        try:
            sums = json.loads((self._path(step) / UNRECORDED).read_bytes())
            return {name: float(value) for name, value in sums.items()}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            return {}

    def _path(self, step: int) -> pathlib.Path:
        return self._directory / f"step-{step:08d}"


def best_first(run: Run, steps: Iterable[int]) -> Iterator[int]:
    """Orders steps: the best evaluations during training first, then steps without an evaluation, newest first."""
    left = sorted(steps)
    while left:
        best = best_step(run.metrics_file, left)
        yield left.pop() if best is None else left.pop(left.index(best))


def chosen_steps(run: Run, steps: Sequence[int], checkpoint: str) -> Iterable[int]:
    """The steps to try, in order, for a checkpoint as users name it.

    Args:
        run: The run, whose evaluations determine the best checkpoint.
        steps: The steps that have a checkpoint, in ascending order.
        checkpoint: ``best`` (by the evaluations during training; the newest if there are none), ``latest``, or a step.

    Raises:
        UserError: There is no such checkpoint.
    """
    if not steps:
        raise UserError(f"`run_dir`: the run in '{run.directory}' has no checkpoint yet. Train it further first")
    if checkpoint == "best":
        return best_first(run, steps)
    if checkpoint == "latest":
        return steps[::-1]
    order = [step for step in steps if str(step) == checkpoint.lstrip("0")]
    if not order:
        raise UserError(
            f"`checkpoint`: expected best, latest, or one of the steps {', '.join(map(str, steps))}. "
            f"Received: {checkpoint!r}"
        )
    return order
