"""The training loop: from a configuration to an exported generator."""

import os
import pathlib
import shlex
import signal
import sys
import time
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from dcgan_tf.cli import signals
from dcgan_tf.cli.dry_run import print_config
from dcgan_tf.config.settings import Config
from dcgan_tf.data.batches import fixed_images
from dcgan_tf.data.prepare import prepare
from dcgan_tf.distributed import strategies
from dcgan_tf.distributed.workers import Workers
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import quick
from dcgan_tf.generation.sampling import GRID_SEEDS, draw_samples, monitored_samples, training_samples
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.checkpoints import Checkpoints, best_first, load_gan
from dcgan_tf.runs.records import (
    TENSORBOARD_FLAGS,
    Means,
    Summaries,
    decoration,
    metrics_at,
    read_metrics,
    save_curves,
    save_training_gif,
)
from dcgan_tf.serving.saved_model import export_gan, exported_steps, show_newest_card
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.monitor import REAL_IMAGES, Monitor


def train(config: Config, run_dir: str) -> None:
    """Trains, or resumes, until ``config.steps``, and exports the generator.

    Args:
        config: validated; ``auto`` values are settled here from the data.
        run_dir: the run's folder, empty for a new one.

    Raises:
        UserError: anything that the user can mend, from an unknown data set to a loss that became NaN.
    """
    # ---- Device: the same seed gives the same weights, bit for bit, on the same machine.
    tf.config.experimental.enable_op_determinism()
    with strategies.join(config) as (workers, strategy):
        _train(config, run_dir, workers, strategy)


def _train(config: Config, run_dir: str, workers: Workers, strategy: tf.distribute.Strategy) -> None:
    say = print if workers.is_chief else _say_nothing
    say(f"Training on {_describe_device(config)}{strategies.describe(workers, strategy)}")

    # ---- Data and networks: all that can be wrong with them shows before the run directory is touched.
    config, data = prepare(config)
    config = strategies.settle_replicas(config, strategy)
    strategies.refuse_differences(workers, config)
    with strategy.scope():
        gan = GAN(config)

    # Only the chief's run stays: the others do as it does, in a folder of their own that is removed.
    opened = run_directory.open_run(run_dir, config) if workers.is_chief else run_directory.scratch_run(config)
    with opened as run, Interruption() as interruption:
        if not workers.is_chief:
            workers.remove_at_loss(run.directory)

        # ---- Restore.
        checkpoints = Checkpoints(run.checkpoints, gan.checkpoint(), config.keep_checkpoints)
        first = _restore(gan, checkpoints, run, workers)
        checkpoints.set_aside_damaged()
        if first > config.steps:
            raise UserError(
                f"--steps: the run is at step {first} already, it cannot end sooner. Received: {config.steps}"
            )
        run.save_config()
        best, *_ = workers.gather(quick.best_step(run.metrics_file, checkpoints.steps()))
        exported = exported_steps(run.saved_model)
        # Without its record, nothing says which step was the best: what was exported then stays.
        is_exported = (best or first) in exported or (bool(exported) and not run.metrics_file.exists())
        if workers.any(first == config.steps and is_exported):
            show_newest_card(run.saved_model)
            say(f"This run is complete: {first} of {config.steps} steps. To train on, give a larger --steps.")
            return
        if workers.is_chief:
            print(f"Run directory: {run.directory}\nConfiguration:")
            print_config(config)
        resume_command = f"python train.py --run_dir={shlex.quote(str(run.directory))}"
        if first:
            say(f"Resuming at step {first}.")

        # ---- Loop.
        batches = iter(strategies.local_batches(workers, strategy, data, config, first, config.steps))
        step, timed_steps, timed_seconds = first, 0, 0.0
        evaluation = quick.make_quick_evaluation(gan, data)
        say("Compiling the train step ...")
        with Summaries(run, first) as summaries, _progress_bar(first, config.steps, workers) as progress:
            real_images = fixed_images(data, config, len(GRID_SEEDS))
            monitor = Monitor(config, quick.spread_images(data, config, REAL_IMAGES))
            monitor.recall(read_metrics(run.metrics_file))
            means = Means(checkpoints.unrecorded(first))
            samples = training_samples(gan.ema_generator, config)
            if not first:
                summaries.start(gan, real_images)
                summaries.samples(0, gan, samples)
            while step < config.steps:
                call_start = time.perf_counter()
                try:
                    metrics, gradient_norms = gan.train_steps(batches, tf.constant(_next_stop(step, config) - step))
                except tf.errors.ResourceExhaustedError as error:
                    raise UserError(
                        f"out of memory at --batch_size={config.batch_size} and --image_size={config.image_size}: try "
                        f"half the batch or fewer filters, in a new --run_dir ({str(error).splitlines()[0]})"
                    ) from None
                values = {name: float(value) for name, value in metrics.items()}
                done = int(gan.step.numpy()) - step
                # The first call compiles: its time says nothing about speed.
                if step > first:
                    timed_seconds += time.perf_counter() - call_start
                    timed_steps += done
                step += done
                _stop_at_nan(gan, values, gradient_norms, checkpoints)
                means.add(values, done)

                progress.update(done)
                progress.set_postfix(
                    {"loss D": f"{values['loss/discriminator']:.3f}", "loss G": f"{values['loss/generator']:.3f}"}
                    | ({"images/s": f"{timed_steps * config.batch_size / timed_seconds:.0f}"} if timed_steps else {}),
                    refresh=False,
                )
                evaluation_due = evaluation is not None and _is_due(step, config.evaluate_every, config)
                if _is_due(step, config.sample_every, config):
                    samples = training_samples(gan.ema_generator, config)
                    summaries.samples(step, gan, samples)
                if evaluation_due or _is_due(step, config.log_every, config):
                    values = means.take()
                    diagnosis, sentences = monitor.observe(step, values, monitored_samples(gan.ema_generator, config))
                    for sentence in sentences if workers.is_chief else ():
                        progress.write(sentence, file=sys.stderr)
                    values |= diagnosis
                    if evaluation is not None and evaluation_due:
                        values[quick.METRIC] = evaluation.measure()
                    values |= _weight_norms(gan)
                    if timed_steps:
                        values["perf/steps_per_sec"] = timed_steps / timed_seconds
                        values["perf/images_per_sec"] = timed_steps * config.batch_size / timed_seconds
                        timed_steps, timed_seconds = 0, 0.0
                    summaries.scalars(step, values)
                if evaluation_due:
                    best, *_ = workers.gather(quick.best_step(run.metrics_file, [step, *checkpoints.steps()]))
                # A signal to one worker stops all, after the same step.
                interrupted = workers.any(interruption.requested)
                if step == best or _is_due(step, config.checkpoint_every, config) or interrupted:
                    checkpoints.save(step, best, means.sums)
                if interrupted and step < config.steps:
                    progress.close()
                    say(f"Stopped at step {step} of {config.steps}, and saved. To resume:\n  {resume_command}")
                    return

        # ---- Finish.
        if not workers.is_chief:
            return
        print("Writing the curves, the GIF, the final grid and the export ...")
        save_curves(run)
        save_training_gif(run)
        if best not in (None, step):
            step = checkpoints.restore(best_first(run, checkpoints.steps())) or step
            checkpoints.set_aside_damaged()
            samples = training_samples(gan.ema_generator, config)
            print(f"The samples and the export are of step {step}, the best by its evaluations.")
        with decoration("final_grid.png"):
            save_png(draw_samples(samples, config), run.directory / "final_grid.png")
        if config.strategy != "none":  # What is exported belongs to one device.
            gan, _ = load_gan(run)
        saved_model = export_gan(gan, step, run.saved_model, config.keep_versions, metrics_at(run, step))
        print(
            f"Done: {config.steps} steps.\n"
            f"  samples      {run.directory / 'final_grid.png'}\n"
            f"  training     {run.directory / 'training.gif'}, {run.directory / 'curves.png'}\n"
            f"  SavedModel   {saved_model}\n"
            f"  TensorBoard  tensorboard --logdir={shlex.quote(str(run.tensorboard))} {TENSORBOARD_FLAGS}\n"
            f"  more images  python -m dcgan_tf sample images --run_dir={shlex.quote(str(run.directory))} --num=64"
        )


def _restore(gan: GAN, checkpoints: Checkpoints, run: run_directory.Run, workers: Workers) -> int:
    """Restores what the chief does, on every worker; returns the step."""
    if workers.count == 1:
        return checkpoints.restore() or 0
    folder, *_ = workers.gather(str(run.checkpoints.absolute()))
    if not workers.is_chief:
        checkpoints = Checkpoints(pathlib.Path(folder), gan.checkpoint())
    steps = workers.gather(checkpoints.restore() or 0)
    if len(set(steps)) > 1:
        raise UserError(
            f"--run_dir: the workers see other checkpoints in '{folder}', of the steps {', '.join(map(str, steps))}: "
            "it must be a folder that all of them share, under the same path"
        )
    return steps[0]


def _say_nothing(*_: object) -> None:
    """What a worker prints that is not the chief."""


class Interruption:
    """Turns the first SIGINT, SIGTERM or SIGHUP into a request to stop after the step; a second one acts as usual."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        self._previous = signals.handle((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), self._request)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, number: int, _: FrameType | None) -> None:
        self.requested = True
        print(f"\n{signal.Signals(number).name}: finishing the step and saving ...")
        self.__exit__()


def _next_stop(step: int, config: Config) -> int:
    """Where the next call returns to Python: a function of the step alone, so a resumed run makes the same calls."""
    intervals = (
        config.steps_per_call, config.log_every, config.sample_every, config.evaluate_every, config.checkpoint_every
    )  # fmt: skip
    return min(config.steps, *((step // every + 1) * every for every in intervals if every))


def _is_due(step: int, every: int, config: Config) -> bool:
    return step % every == 0 or step == config.steps


def _progress_bar(first: int, steps: int, workers: Workers) -> tqdm:
    return tqdm(
        initial=first, total=steps, unit="step", mininterval=0.5, dynamic_ncols=True, disable=not workers.is_chief
    )


def _weight_norms(gan: GAN) -> dict[str, float]:
    return {
        f"weight_norm/{network.name}": float(tf.linalg.global_norm([v.value for v in network.trainable_variables]))
        for network in (gan.generator, gan.discriminator)
    }


def _stop_at_nan(
    gan: GAN, values: dict[str, float], gradient_norms: dict[str, tf.Tensor], checkpoints: Checkpoints
) -> None:
    """Raises UserError where a loss or gradient is not finite, naming the first one in the order of the step."""
    if all(np.isfinite(value) for value in values.values()):
        return
    suspects = {
        name: value for name, value in values.items() if name.startswith(("loss/discriminator_", "loss/penalty"))
    }
    suspects |= _gradients_by_name(gan.discriminator, gradient_norms)
    suspects |= {"loss/generator": values["loss/generator"]} | _gradients_by_name(gan.generator, gradient_norms)
    name, value = next(((n, v) for n, v in suspects.items() if not np.isfinite(v)), ("a metric", float("nan")))
    newest = max(checkpoints.steps(), default=None)
    kept = f"The checkpoint of step {newest} is unharmed." if newest is not None else "No checkpoint was written yet."
    raise UserError(
        f"{name} became {value} at step {int(gan.step.numpy())}. {kept} Try, in a new --run_dir, a smaller "
        "--learning_rate_discriminator and --learning_rate_generator"
        + (", or training without --mixed_precision" if gan.config.mixed_precision else "")
        + (", or --loss=non_saturating" if gan.config.loss == "minimax" else "")
    )


def _gradients_by_name(network: keras.Model, gradient_norms: dict[str, tf.Tensor]) -> dict[str, float]:
    norms = gradient_norms[network.name].numpy()
    return {
        f"gradient of {network.name}/{variable.path}": float(norm)
        for variable, norm in zip(network.trainable_variables, norms, strict=True)
    }


def _describe_device(config: Config) -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"{len(os.sched_getaffinity(0))} CPU cores (TensorFlow sees no GPU; TF_CPP_MIN_LOG_LEVEL=0 shows why)"
    details = tf.config.experimental.get_device_details(gpus[0])
    if config.mixed_precision and details.get("compute_capability", (8, 0)) < (8, 0):
        raise UserError(
            f"--mixed_precision: {details.get('device_name')} has no bfloat16 arithmetic (compute capability 8.0 or "
            "later has). Leave it out"
        )
    return details.get("device_name", gpus[0].name)
