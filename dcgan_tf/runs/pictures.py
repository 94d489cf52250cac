"""The pictures of a run: its curves, the sample grids during training, and the animation made of them."""

import pathlib
import re

import numpy as np
from PIL import Image

from dcgan_tf.drawing.animation import caption_grids, has_video, save_animation
from dcgan_tf.drawing.curves import Curves, make_curves
from dcgan_tf.objectives.losses import CHANCE_LOSSES, LOSSES_IN_NATS
from dcgan_tf.progress import decoration, logger
from dcgan_tf.runs.records import best_step, read_metrics
from dcgan_tf.runs.run_directory import Run

FINAL_GRID = "final_grid.png"
GIF_FRAMES = 40
FRAMES_PER_SECOND, HOLD_SECONDS = 6.25, 3.0
GRID_NAME = re.compile(r"step-[0-9]+\.png")


@decoration("curves.png")
def save_curves(run: Run) -> None:
    """Draws curves.png from the run's records."""
    curves = read_curves(run)
    if curves:
        curves.save(run.directory / "curves.png")


def read_curves(run: Run) -> Curves | None:
    """The curves of a run's records; None if there are no records."""
    records = read_metrics(run.metrics_file)
    if not records:
        return None
    return make_curves(
        records,
        batch_size=run.config.batch_size,
        loss_unit="nats" if run.config.loss in LOSSES_IN_NATS else "loss",
        chance_loss=CHANCE_LOSSES.get(run.config.loss),
        best=best_step(run.metrics_file, [record["step"] for record in records]),
    )


@decoration("training.gif")
def save_training_gif(run: Run, exported: int) -> None:
    """Writes training.gif, and training.mp4 if imageio-ffmpeg is installed.

    They show at most 40 sample grids, spread evenly from the first step to the exported one.

    Args:
        run: The run. Its final_grid.png shows the exported step.
        exported: The exported step, at which the GIF ends.
    """
    grids = [grid for grid in sample_grids(run) if step_of(grid) < exported]
    count = min(len(grids), GIF_FRAMES - 1)
    frames = {grids[i]: step_of(grids[i]) for i in sorted({round(i) for i in np.linspace(0, len(grids) - 1, count)})}
    frames[run.directory / FINAL_GRID] = exported
    sizes = {grid: size for grid in frames if (size := _readable_size(grid))}
    # All frames of a GIF have the same size.
    chosen = [grid for grid, size in sizes.items() if size == list(sizes.values())[-1]]
    captions = [f"step {frames[grid]:,}" for grid in chosen]
    for name in ("training.gif", *(["training.mp4"] if has_video() else [])):
        save_animation(caption_grids(chosen, captions), run.directory / name, FRAMES_PER_SECOND, HOLD_SECONDS)


def sample_grids(run: Run) -> list[pathlib.Path]:
    """The sample grids of a run, in the order of their steps."""
    grids = (path for path in run.samples.glob("*") if GRID_NAME.fullmatch(path.name) and path.is_file())
    return sorted(grids, key=step_of)


def step_of(grid: pathlib.Path) -> int:
    """The step in a grid's file name."""
    return int(grid.stem.split("-")[1])


def _readable_size(grid: pathlib.Path) -> tuple[int, int, str] | None:
    """Width, height and mode of a grid. For a file that is not a complete picture: None, and a warning."""
    try:
        with Image.open(grid, formats=["PNG"]) as picture:
            picture.load()
            return *picture.size, picture.mode
    except Exception as error:  # Decoders raise exceptions of any type.
        logger.warning("training.gif is made without '%s', which cannot be read: %s", grid, error)
        return None
