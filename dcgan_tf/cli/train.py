"""Trains a DCGAN or resumes a run: python train.py --dataset=mnist"""

import contextlib
import shlex
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from absl import flags

from dcgan_tf import notices
from dcgan_tf.cli import command_line, signals
from dcgan_tf.generation.source import open_initial
from dcgan_tf.progress import logger
from dcgan_tf.runs.run_directory import configure, has_checkpoint

FLAGS = flags.FLAGS


def define_flags() -> None:
    command_line.define_path(
        "run_dir", "", "Run folder; created if it does not exist, resumed if it does. Default: runs/NNN-<dataset>."
    )
    flags.DEFINE_boolean(
        "dry_run", False, "Print the settings, both networks, their costs and the shape of the data, then stop."
    )
    command_line.define_config_flags()


def run() -> None:
    config = configure(FLAGS.run_dir, command_line.typed_config_values())
    begins_from_model = bool(config.init_from) and not has_checkpoint(FLAGS.run_dir)
    # Mistyped values are reported before the import of TensorFlow, which takes seconds.
    if begins_from_model:
        open_initial(config)
    notices.import_tensorflow()
    if FLAGS.dry_run:
        from dcgan_tf.cli import dry_run

        dry_run.describe(config, begins_from_model=begins_from_model)
        return
    from dcgan_tf.runs.summaries import TENSORBOARD_FLAGS
    from dcgan_tf.training import loop

    result = loop.train(config, FLAGS.run_dir, stop_requests=stop_requests())
    run_dir = result.run_dir
    if result.step < config.steps:
        print(
            f"Stopped and saved at step {result.step:,} of {config.steps:,}. To resume:\n"
            f"  python train.py --run_dir={shlex.quote(str(run_dir))}"
        )
    elif result.saved_model is not None:
        print(
            f"Done: {config.steps:,} steps.\n"
            f"  samples      {run_dir / 'final_grid.png'}\n"
            f"  training     {run_dir / 'training.gif'}, {run_dir / 'curves.png'}\n"
            f"  SavedModel   {result.saved_model}\n"
            f"  TensorBoard  tensorboard --logdir={shlex.quote(str(run_dir / 'tensorboard'))} {TENSORBOARD_FLAGS}\n"
            f"  more images  python -m dcgan_tf sample images --run_dir={shlex.quote(str(run_dir))} --num=64"
        )


@contextlib.contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Turns the first SIGINT, SIGTERM or SIGHUP into a request to stop after the step. A second one acts as usual.

    Yields:
        A function that says whether there was such a request.
    """
    is_requested = False
    previous: dict[int, object] = {}

    def give_back() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def request(number: int, _: FrameType | None) -> None:
        nonlocal is_requested
        is_requested = True
        logger.info("%s: finishing the step and saving ...", signal.Signals(number).name)
        give_back()

    previous = signals.handle((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), request)
    try:
        yield lambda: is_requested
    finally:
        give_back()
