"""The training loop: from a configuration to an exported generator."""

import contextlib
import pathlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import keras
import numpy as np
import tensorflow as tf

from dcgan_tf import files, progress
from dcgan_tf.config.settings import Config, changed_settings
from dcgan_tf.data.batches import fixed_images, make_batches
from dcgan_tf.data.points import PointData
from dcgan_tf.data.prepare import ImageData, prepare
from dcgan_tf.data.sources import Source
from dcgan_tf.distributed import strategies
from dcgan_tf.distributed.workers import Workers
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.drawing.samples import draw_samples
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import quick
from dcgan_tf.generation.networks import load_networks
from dcgan_tf.generation.sampling import GRID_SEEDS, monitored_samples, training_samples
from dcgan_tf.models.stock import stock_generator
from dcgan_tf.progress import decoration, logger
from dcgan_tf.runs import run_directory
from dcgan_tf.runs.checkpoints import Checkpoints
from dcgan_tf.runs.pictures import FINAL_GRID, save_curves, save_training_gif
from dcgan_tf.runs.records import QUICK_METRIC, Means, best_step, metrics_at, read_metrics
from dcgan_tf.runs.summaries import Summaries, record_model_card
from dcgan_tf.serving.model_card import MODEL_CARD
from dcgan_tf.serving.saved_model import export_networks, exported_steps, finish_killed_export, newest_version
from dcgan_tf.training.devices import describe_device, explain, read_scalars, settle_precision
from dcgan_tf.training.gan import GAN
from dcgan_tf.training.monitor import REAL_IMAGES, Monitor
from dcgan_tf.training.result import TrainResult
from dcgan_tf.training.transfer import begin_from_model, refuse_different_weights

OnLog = Callable[[int, dict[str, float]], None]
# Entered once everything is ready. It yields a function that tells whether to stop after the current step.
StopRequests = AbstractContextManager[Callable[[], bool]]


def train(
    config: Config,
    run_dir: str,
    *,
    source: Source | None = None,
    on_log: OnLog | None = None,
    stop_requests: StopRequests | None = None,
) -> TrainResult:
    """Trains or resumes until ``config.steps``, and exports the generator.

    Args:
        config: A configuration from `make_config`. Its ``auto`` values are replaced according to the data and the
            processor.
        run_dir: Folder of the run; empty for a new one.
        source: Source of the images, if ``config.dataset`` does not name it.
        on_log: Called with the step and the scalars of each record.
        stop_requests: Context manager that yields a function, which tells whether to save and stop after the current
            step.

    Returns:
        The folder, step, records and export of the run.

    Raises:
        UserError: Anything that the user can fix, from an unknown data set to a loss that became NaN.
        KeyboardInterrupt: It was raised during training. A checkpoint has been saved.
    """
    # ---- Device: the same seed gives the same weights, bit for bit, on the same machine.
    tf.config.experimental.enable_op_determinism()
    never = contextlib.nullcontext(lambda: False)
    with strategies.join(config) as (workers, strategy), progress.shown_only(workers.is_chief):
        return _train(config, run_dir, source, workers, strategy, on_log, stop_requests or never)


def _train(
    config: Config,
    run_dir: str,
    source: Source | None,
    workers: Workers,
    strategy: tf.distribute.Strategy,
    on_log: OnLog | None,
    stop_requests: StopRequests,
) -> TrainResult:
    config = settle_precision(config)
    logger.info("Training on %s%s", describe_device(config), strategies.describe(workers, strategy))

    # ---- Data and networks, before the run directory, so that errors in them leave no trace there.
    config, data = prepare(config, source)
    config = strategies.settle_replicas(config, strategy)
    strategies.refuse_differences(workers, config)
    with strategy.scope():
        gan = GAN(config)
    is_resumed, *_ = workers.gather(run_directory.has_checkpoint(run_dir))
    if config.init_from and not is_resumed:
        begin_from_model(gan)
        refuse_different_weights(workers, gan)

    # Only the chief's run folder stays. Each other worker writes to a folder of its own, which is removed at the end.
    opened = run_directory.open_run(run_dir, config) if workers.is_chief else run_directory.scratch_run(config)
    with opened as run, stop_requests as is_stop_requested:
        # All workers read from the folder that the chief writes to.
        folder, *_ = workers.gather(str(run.directory.absolute()))
        directory = run.directory if workers.is_chief else pathlib.Path(folder)
        if not workers.is_chief:
            workers.remove_at_loss(run.directory)

        # ---- Restore.
        checkpoints = Checkpoints(run.checkpoints, gan.checkpoint(), config.keep_checkpoints)
        first = _restore(gan, checkpoints, directory, workers)
        checkpoints.set_aside_damaged()
        if first > config.steps:
            raise UserError(f"`steps={config.steps}`: the run is already at step {first:,}", field="steps")
        run.save_config()
        files.remove_leftovers(run.checkpoints)  # A complete run saves no checkpoint, which would do this.
        best, *_ = workers.gather(best_step(run.metrics_file, checkpoints.steps()))
        exported = exported_steps(run.saved_model)
        # Without the records, the best step is unknown, so an existing export stays.
        is_exported = (best or first) in exported or (bool(exported) and not run.metrics_file.exists())
        if workers.any(first == config.steps and is_exported):
            finish_killed_export(run.saved_model)
            logger.info(
                "This run is complete (%s of %s steps). To continue training, pass a larger `steps`.",
                f"{first:,}",
                f"{config.steps:,}",
            )
            return TrainResult(directory, first, read_metrics(run.metrics_file), newest_version(run.saved_model))
        logger.info("Run directory: %s", run.directory)
        logger.info(
            "Settings that differ from the defaults: %s. All settings: %s",
            ", ".join(changed_settings(config)) or "none",
            run.directory / run_directory.CONFIG_FILE,
        )
        if first:
            logger.info("Resuming at step %s.", f"{first:,}")

        # ---- Loop.
        batches = iter(_local_batches(workers, strategy, data, config, first))
        step, timed_steps, timed_seconds = first, 0, 0.0
        evaluation = quick.make_quick_evaluation(gan.ema_generator, config, data)
        networks = (gan.generator, gan.discriminator)
        logger.info("Compiling the train step ...")
        with (
            Summaries(run, first) as summaries,
            progress.bar(initial=first, total=config.steps, unit="step", dynamic_ncols=True) as bar,
        ):
            real_images = fixed_images(data, config, len(GRID_SEEDS))
            monitor = Monitor(config, quick.spread_images(data, config, REAL_IMAGES))
            monitor.recall(read_metrics(run.metrics_file))
            means = Means(checkpoints.unrecorded(first))
            samples = training_samples(gan.ema_generator, config)
            if not first:
                summaries.start(networks, real_images)
                summaries.samples(0, networks, samples)
            try:
                while step < config.steps:
                    call_start = time.perf_counter()
                    try:
                        metrics, gradient_norms = gan.train_steps(batches, tf.constant(_next_stop(step, config) - step))
                    except tf.errors.OpError as error:
                        reason = explain(error, config)
                        if reason is None:
                            raise
                        raise UserError(reason) from None
                    values = read_scalars(metrics)
                    done = int(gan.step.numpy()) - step
                    # The first call compiles, so it is not timed.
                    if step > first:
                        timed_seconds += time.perf_counter() - call_start
                        timed_steps += done
                    step += done
                    _stop_at_nan(gan, values, gradient_norms, checkpoints)
                    means.add(values, done)

                    bar.update(done)
                    bar.set_postfix(_shown(values, timed_steps * config.batch_size, timed_seconds), refresh=False)
                    evaluation_due = evaluation is not None and _is_due(step, config.evaluate_every, config)
                    if _is_due(step, config.sample_every, config):
                        samples = training_samples(gan.ema_generator, config)
                        summaries.samples(step, networks, samples)
                    if evaluation_due or _is_due(step, config.log_every, config):
                        values = means.take()
                        if not progress.draws_bars():
                            shown = _shown(values, timed_steps * config.batch_size, timed_seconds)
                            text = ", ".join(f"{name} {value}" for name, value in shown.items())
                            logger.info("step %s of %s: %s", f"{step:,}", f"{config.steps:,}", text)
                        diagnosis, sentences = monitor.observe(
                            step, values, monitored_samples(gan.ema_generator, config)
                        )
                        for sentence in sentences:
                            logger.warning(sentence)
                        values |= diagnosis
                        if evaluation is not None and evaluation_due:
                            values[QUICK_METRIC] = evaluation.measure()
                        values |= _weight_norms(gan)
                        if timed_steps:
                            values["perf/steps_per_sec"] = timed_steps / timed_seconds
                            values["perf/images_per_sec"] = timed_steps * config.batch_size / timed_seconds
                            timed_steps, timed_seconds = 0, 0.0
                        summaries.scalars(step, values)
                        if on_log is not None and workers.is_chief:
                            on_log(step, dict(values))
                    if evaluation_due:
                        best, *_ = workers.gather(best_step(run.metrics_file, [step, *checkpoints.steps()]))
                        logger.info(_evaluated(step, values[QUICK_METRIC], best))
                    # A request to one worker stops all workers after the same step.
                    stopped = workers.any(is_stop_requested())
                    if step == best or _is_due(step, config.checkpoint_every, config) or stopped:
                        checkpoints.save(step, best, means.sums)
                    if stopped and step < config.steps:
                        return TrainResult(directory, step, read_metrics(run.metrics_file), None)
            except KeyboardInterrupt:
                checkpoints.save(int(gan.step.numpy()), best, means.sums)
                raise

        # ---- Finish.
        if not workers.is_chief:
            return TrainResult(directory, step, [], None)
        logger.info("Writing the curves, the GIF, the final grid and the export ...")
        save_curves(run)
        trained = load_networks(run, set_aside_damaged=True)
        if trained.step != step:
            samples = training_samples(trained.generator, config)
            logger.info("Samples and export are from step %s, which had the best evaluation.", f"{trained.step:,}")
        with decoration(FINAL_GRID):
            save_png(draw_samples(samples, config), run.directory / FINAL_GRID)
        save_training_gif(run, trained.step)
        files.discard(run.directory.glob(".generator.keras.*"))  # Of a killed process
        with decoration("generator.keras"), files.replacing(run.directory / "generator.keras", ".keras") as written:
            stock_generator(trained.generator).save(written)
        saved_model = export_networks(trained, run.saved_model, config.keep_versions, metrics_at(run, trained.step))
        record_model_card(run, trained.step, run.saved_model / MODEL_CARD)
        return TrainResult(directory, step, read_metrics(run.metrics_file), saved_model)


def _restore(gan: GAN, checkpoints: Checkpoints, directory: pathlib.Path, workers: Workers) -> int:
    """Restores every worker from the chief's run directory; returns the step."""
    folder = run_directory.Run(directory, gan.config).checkpoints
    if not workers.is_chief:
        checkpoints = Checkpoints(folder, gan.checkpoint())
    steps = workers.gather(checkpoints.restore() or 0)
    if len(set(steps)) > 1:
        raise UserError(
            f"`run_dir`: the workers see different checkpoints in '{folder}', of the steps "
            f"{', '.join(map(str, steps))}. It must be a folder that all of them share, under the same path"
        )
    return steps[0]


def _local_batches(
    workers: Workers, strategy: tf.distribute.Strategy, data: ImageData | PointData, config: Config, first: int
) -> tf.data.Dataset:
    """The batches from ``first`` on. Each element is the share of one of this worker's replicas."""
    replicas = strategy.num_replicas_in_sync
    local = replicas // workers.count
    mine = range(workers.index * local, (workers.index + 1) * local)
    return make_batches(data, config, first, config.steps, mine, replicas)


def _shown(values: dict[str, float], images: int, seconds: float) -> dict[str, str]:
    """The values shown next to the progress bar."""
    losses = {"loss D": f"{values['loss/discriminator']:.3f}", "loss G": f"{values['loss/generator']:.3f}"}
    return losses | ({"images/s": f"{images / seconds:.0f}"} if images else {})


def _evaluated(step: int, distance: float, best: int | None) -> str:
    """The line about an evaluation. ``best`` is None if no distance is finite, or if the records are gone."""
    which = {None: "", step: ", the best so far"}.get(best, f", the best so far is that of step {best or 0:,}")
    return f"step {step:,}: evaluation {distance:.2f}{which}"


def _next_stop(step: int, config: Config) -> int:
    """The step at which the next call returns to Python. It depends only on ``step``, so a resumed run repeats it."""
    intervals = (
        config.steps_per_call, config.log_every, config.sample_every, config.evaluate_every, config.checkpoint_every
    )  # fmt: skip
    return min(config.steps, *((step // every + 1) * every for every in intervals if every))


def _is_due(step: int, every: int, config: Config) -> bool:
    return step % every == 0 or step == config.steps


def _weight_norms(gan: GAN) -> dict[str, float]:
    return {
        f"weight_norm/{network.name}": float(tf.linalg.global_norm([v.value for v in network.trainable_variables]))
        for network in (gan.generator, gan.discriminator)
    }


def _stop_at_nan(
    gan: GAN, values: dict[str, float], gradient_norms: dict[str, tf.Tensor], checkpoints: Checkpoints
) -> None:
    """Raises UserError if a loss or gradient is not finite, and names the first one in the order of computation."""
    if all(np.isfinite(value) for value in values.values()):
        return
    suspects = {
        name: value for name, value in values.items() if name.startswith(("loss/discriminator_", "loss/penalty"))
    }
    suspects |= _gradients_by_name(gan.discriminator, gradient_norms)
    suspects |= {"loss/generator": values["loss/generator"]} | _gradients_by_name(gan.generator, gradient_norms)
    name, value = next(((n, v) for n, v in suspects.items() if not np.isfinite(v)), ("a metric", float("nan")))
    newest = max(checkpoints.steps(), default=None)
    kept = f"The checkpoint of step {newest} is intact." if newest is not None else "There is no checkpoint yet."
    raise UserError(
        f"{name} became {value} at step {int(gan.step.numpy())}. {kept} Try, in a new `run_dir`, a smaller "
        "`learning_rate_discriminator` and `learning_rate_generator`"
        + (", or training without `mixed_precision=True`" if gan.config.mixed_precision else "")
        + (", or `loss=non_saturating`" if gan.config.loss == "minimax" else "")
    )


def _gradients_by_name(network: keras.Model, gradient_norms: dict[str, tf.Tensor]) -> dict[str, float]:
    norms = gradient_norms[network.name].numpy()
    return {
        f"gradient of {network.name}/{variable.path}": float(norm)
        for variable, norm in zip(network.trainable_variables, norms, strict=True)
    }
