"""The result of a training run."""

import dataclasses
import pathlib
from functools import cached_property
from typing import Any

from dcgan_tf.generation.generator import Generator, load_generator


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """The result of a training run.

    Attributes:
        run_dir: Folder of the run, with its settings, checkpoints, records and pictures.
        step: Number of train steps done.
        metrics: The lines of ``metrics.jsonl``: one dictionary per record, each with its ``step``.
        saved_model: Folder of the exported version, or None if the training was stopped early.
    """

    run_dir: pathlib.Path
    step: int
    metrics: list[dict[str, Any]]
    saved_model: pathlib.Path | None

    @cached_property
    def generator(self) -> Generator:
        """The trained generator at its best checkpoint."""
        return load_generator(self.run_dir)
