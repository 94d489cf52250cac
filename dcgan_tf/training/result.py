"""What a training leaves behind."""

import dataclasses
import pathlib
from functools import cached_property
from typing import Any

from dcgan_tf.generation.generator import Generator, load_generator


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What a training leaves behind.

    Attributes:
        run_dir: The run's folder: settings, checkpoints, records, pictures.
        step: Train steps done.
        metrics: One dictionary per record, each with its ``step``; the lines of ``metrics.jsonl``.
        saved_model: The exported version, or None where the training was stopped before its end.
    """

    run_dir: pathlib.Path
    step: int
    metrics: list[dict[str, Any]]
    saved_model: pathlib.Path | None

    @cached_property
    def generator(self) -> Generator:
        """The trained generator, at its best checkpoint."""
        return load_generator(self.run_dir)
