"""What the remedies against mode collapse do: python -m tests.benchmarks.objectives points|stacked|mnist --results=FILE

points: ring and grid of Gaussians, with small networks and few steps (PacGAN's protocol is in
tests.benchmarks.mixtures). stacked: Stacked MNIST with the tiny networks of the unrolled GAN paper and with the
default's. mnist: every preset's objective on the default's networks for the same time. Each finished run is a line of
the results file, so an interrupted command continues where it stopped. At the end, it writes a table of all lines and
joins the pictures of the first seed into one, with a row for each data set and a column for each method.
"""

import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags
from PIL import Image

from dcgan_tf.cli import command_line
from dcgan_tf.config.making import make_config
from dcgan_tf.config.presets import PRESETS
from dcgan_tf.config.settings import Config
from dcgan_tf.data.points import MIXTURES
from dcgan_tf.data.prepare import prepare
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.drawing.samples import draw_samples
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.classifier import load_or_train_classifier
from dcgan_tf.evaluation.features import classifier_network, compute_features, read_batches
from dcgan_tf.evaluation.splits import open_test_split
from dcgan_tf.generation.sampling import generate, training_samples
from dcgan_tf.metrics.frechet import frechet_distance
from dcgan_tf.metrics.modes import count_modes, stacked_modes
from dcgan_tf.training.gan import GAN
from tests.benchmarks.rows import Rows, spread, train_to_marks
from tests.benchmarks.settings import parse_settings

ARGUMENTS = "points|stacked|mnist"
FLAGS = flags.FLAGS

KEY = ("experiment", "data", "method", "seed")
POINT_SAMPLES, POINT_STEPS = 2_500, 5_000
STACKED_SAMPLES, STACKED_STEPS = 25_600, 5_000
MNIST_SAMPLES = 10_000

# The preset's objective, without its networks and learning rates.
R3GAN = {name: PRESETS["r3gan"][name] for name in ("loss", "penalty", "penalty_weight", "beta_1", "beta_2")}
POINTS_BASE = {
    "batch_size": 256,
    "latent_dim": 2,
    "learning_rate_generator": 1e-3,
    "learning_rate_discriminator": 1e-3,
    "learning_rate_decay": "linear",
    "ema_decay": 0.0,
    "steps_per_call": 1000,
}
POINT_METHODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unrolled 5": {"unroll_steps": 5},
    "wgan_gp": {
        "loss": "wasserstein",
        "penalty": "wgan_gp",
        "penalty_weight": 0.1,
        "discriminator_steps": 5,
        "beta_2": 0.9,
    },
    "pac 2": {"pack": 2},
    "r3gan": R3GAN,
}
# Metz et al. 2017, appendix: from a 4x4x64 map, G goes over 32 and 16 to 8 filters at full size and one more layer.
STACKED_BASE = {
    "dataset": "stacked_mnist",
    "batch_size": 128,
    "latent_dim": 256,
    "kernel_size": 3,
    "blocks": 3,
    "generator_extra_layer": "image",
    "generator_filters": "64,32,16,8",
    "leaky_slope": 0.3,
    "learning_rate_generator": 1e-4,
    "learning_rate_discriminator": 2e-4,
    "beta_2": 0.99,
    "ema_decay": 0.0,
    "penalty": "none",
    "steps_per_call": 100,
}
STACKED_SIZES = {"1/4": "2,4,8", "1/2": "4,8,16"}
STACKED_METHODS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unroll 1": {"unroll_steps": 1},
    "unroll 5": {"unroll_steps": 5},
    "pac 2": {"pack": 2},
    "r3gan": {**R3GAN, "discriminator_norm": "none"},
}
# Stacked MNIST with the default's networks and hyperparameters.
STACKED_DEFAULT_METHODS: dict[str, dict[str, Any]] = {
    "default": {},
    "r3gan": PRESETS["r3gan"],
}
# What a preset sets for its own networks; here all objectives use the default's.
NETWORK_FLAGS = ("kernel_size", "generator_filters", "discriminator_filters", "latent_dim", "batch_size", "ema_decay")
MNIST_PRESETS = ("default", "dcgan", "lsgan", "wgan", "wgan_gp", "sngan", "unrolled", "pacgan", "hinge", "r3gan", "gan")


def define_flags() -> None:
    flags.DEFINE_string("results", None, "File of the finished runs, one JSON object per line.", required=True)
    flags.DEFINE_string("pictures", "", "Folder for a picture of each run's samples.")
    flags.DEFINE_integer("seeds", 3, "Runs of each setting.")
    flags.DEFINE_integer("steps", 0, "Train steps. 0: 5,000, and for mnist as many as the time allows.")
    flags.DEFINE_float("seconds", float("inf"), "Longest training time of each run, without compiling.")
    flags.DEFINE_list("only", [], "Names of the methods to run; all if empty.")
    flags.DEFINE_list("data", [], "Names of the data, as in the first column of the table; all if empty.")
    flags.DEFINE_multi_string("set", [], "A further setting as name=value, for trials; may be repeated.")


def train(config: Config) -> tuple[GAN, float]:
    """Trains in float32 for ``config.steps``, or until the time is up.

    Returns:
        The GAN, and the seconds without compiling.
    """
    config, data = prepare(config)
    gan = GAN(config)
    ((_, seconds),) = train_to_marks(gan, data, [config.steps], FLAGS.seconds)
    return gan, seconds


def points_settings() -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, Any]]]]:
    for seed in range(FLAGS.seeds):
        for dataset in MIXTURES:
            for method, changes in POINT_METHODS.items():
                steps = FLAGS.steps or POINT_STEPS
                typed = {**POINTS_BASE, **changes, "dataset": dataset, "seed": seed, "steps": steps}
                typed["learning_rate_decay_steps"] = steps
                yield {"data": dataset, "method": method, "seed": seed}, lambda typed=typed: run_points(typed)


def run_points(typed: dict[str, Any]) -> dict[str, Any]:
    gan, seconds = train(make_config({**typed, **parse_settings(FLAGS.set)}))
    points = generate(gan.ema_generator, range(POINT_SAMPLES))
    mixture = MIXTURES[gan.config.dataset]
    distances = np.linalg.norm(points[:, None] - mixture.centers[None], axis=2)
    good = distances.min(axis=1) <= 3 * mixture.deviation
    found = len(set(distances.argmin(axis=1)[good]))
    picture(gan, draw_samples(training_samples(gan.ema_generator, gan.config), gan.config))
    return {"modes": found, "high_quality": float(good.mean()), "steps": int(gan.step), "seconds": seconds}


def stacked_settings() -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, Any]]]]:
    for seed in range(FLAGS.seeds):
        for size, filters in STACKED_SIZES.items():
            for method, changes in STACKED_METHODS.items():
                typed = {**STACKED_BASE, **changes, "discriminator_filters": filters, "seed": seed}
                typed["steps"] = FLAGS.steps or STACKED_STEPS
                yield {"data": f"D = {size} G", "method": method, "seed": seed}, lambda typed=typed: run_stacked(typed)
        for method, changes in STACKED_DEFAULT_METHODS.items():
            typed = {"dataset": "stacked_mnist", **changes, "seed": seed, "steps": FLAGS.steps or STACKED_STEPS}
            yield {"data": "default", "method": method, "seed": seed}, lambda typed=typed: run_stacked(typed)


def run_stacked(typed: dict[str, Any]) -> dict[str, Any]:
    gan, seconds = train(make_config({**typed, **parse_settings(FLAGS.set)}))
    digits_config, _ = prepare(make_config({"dataset": "mnist"}))
    classifier = load_or_train_classifier(digits_config)
    images = generate(gan.ema_generator, range(STACKED_SAMPLES))
    digits = np.stack(
        [classify(classifier.network, images[..., channel : channel + 1]) for channel in range(3)], axis=1
    )
    modes = count_modes(stacked_modes(digits), 1000)
    picture(gan, make_grid(images[:64]))
    result = {"modes": modes.found, "kl": modes.kl.value, "steps": int(gan.step), "seconds": seconds}
    return result | {"classifier_accuracy": classifier.accuracy}


def classify(network: Any, images: np.ndarray) -> np.ndarray:
    parts = [images[start : start + 500] for start in range(0, len(images), 500)]
    return np.concatenate([np.argmax(network(part, training=False)["logits"], axis=1) for part in parts])


def mnist_settings() -> Iterator[tuple[dict[str, Any], Callable[[], dict[str, Any]]]]:
    for seed in range(FLAGS.seeds):
        for preset in MNIST_PRESETS:
            values = {name: value for name, value in PRESETS[preset].items() if name not in NETWORK_FLAGS}
            if preset == "gan":  # This preset consists of its networks.
                values = PRESETS[preset]
            typed = {**values, "seed": seed, "steps": FLAGS.steps or 10**6}
            yield {"data": "mnist", "method": preset, "seed": seed}, lambda typed=typed: run_mnist(typed)


def run_mnist(typed: dict[str, Any]) -> dict[str, Any]:
    gan, seconds = train(make_config({**typed, **parse_settings(FLAGS.set)}))
    classifier = load_or_train_classifier(gan.config)
    network = classifier_network(classifier, gan.config.sample_shape)
    test = open_test_split(gan.config)
    rows = np.arange(MNIST_SAMPLES)
    real = compute_features([network], read_batches(test.data.read, rows), len(rows), "real")[network.name].values
    images = read_batches(lambda seeds: generate(gan.ema_generator, seeds), rows)
    fake = compute_features([network], images, len(rows), "generated")[network.name].values
    picture(gan, make_grid(training_samples(gan.ema_generator, gan.config)[:16]))
    return {
        f"frechet_distance[{network.name}]": frechet_distance(real, fake),
        "steps": int(gan.step),
        "seconds": seconds,
    }


def picture(gan: GAN, image: np.ndarray) -> None:
    if FLAGS.pictures:
        folder = pathlib.Path(FLAGS.pictures)
        folder.mkdir(parents=True, exist_ok=True)
        save_png(image, folder / f"{current['name']}.png")


def picture_name(key: tuple[Any, ...]) -> str:
    return "-".join(map(str, key)).replace(" ", "_").replace("/", "")


def join_pictures(records: list[dict[str, Any]], experiment: str) -> None:
    folder = pathlib.Path(FLAGS.pictures)
    data_names, methods = (list(dict.fromkeys(record[name] for record in records)) for name in ("data", "method"))
    paths = {
        (data, method): folder / f"{picture_name((experiment, data, method, 0))}.png"
        for data in data_names
        for method in methods
    }
    images = {key: np.asarray(Image.open(path).convert("RGB")) for key, path in paths.items() if path.exists()}
    if not images:
        return
    blank = np.full_like(next(iter(images.values())), 255)  # Not all methods are measured on all data.
    frame = ((4, 4), (4, 4), (0, 0))
    rows = [
        np.hstack([np.pad(images.get((data, method), blank), frame, constant_values=255) for method in methods])
        for data in data_names
    ]
    Image.fromarray(np.vstack(rows)).reduce(2).quantize(24).save(folder / f"{experiment}.png", optimize=True)


current: dict[str, str] = {}
EXPERIMENTS = {"points": points_settings, "stacked": stacked_settings, "mnist": mnist_settings}


def is_chosen(name: str, chosen: list[str]) -> bool:
    return not chosen or name in chosen


def write_table(rows: Rows, chosen: list[dict[str, Any]]) -> None:
    """Writes means and standard deviations over the seeds."""
    names = [name for name in chosen[0] if name not in KEY]
    lines = []
    for data, method in dict.fromkeys((row["data"], row["method"]) for row in chosen):
        group = [row for row in chosen if (row["data"], row["method"]) == (data, method)]
        lines.append((data, method, len(group), *(spread(row[name] for row in group) for name in names)))
    rows.write_table(("data", "method", "seeds", *names), lines)


def run(arguments: list[str]) -> None:
    if len(arguments) != 1 or arguments[0] not in EXPERIMENTS:
        raise UserError(f"expected one of: {', '.join(EXPERIMENTS)}. Received: {' '.join(arguments)!r}")
    (experiment,) = arguments
    if experiment == "mnist" and not FLAGS.steps and FLAGS.seconds == float("inf"):
        raise UserError("mnist: expected --seconds or --steps, or both")
    tf.config.experimental.enable_op_determinism()
    rows = Rows(FLAGS.results, KEY)
    settings = list(EXPERIMENTS[experiment]())
    for setting, train_and_measure in settings:
        is_wanted = is_chosen(setting["method"], FLAGS.only) and is_chosen(setting["data"], FLAGS.data)
        if not is_wanted or rows.matching(experiment=experiment, **setting):
            continue
        current["name"] = picture_name((experiment, *setting.values()))
        try:
            rows.add(experiment=experiment, **setting, **train_and_measure())
        except FloatingPointError as error:
            print(f"{current['name']}: {error}: left out", flush=True)
    rows = Rows(FLAGS.results, KEY)  # Another process may have added some.
    chosen = [row for setting, _ in settings for row in rows.matching(experiment=experiment, **setting)]
    if not chosen:
        raise UserError(f"no row of {experiment} in '{FLAGS.results}', and none was measured")
    write_table(rows, chosen)
    if FLAGS.pictures:
        join_pictures(chosen, experiment)


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m tests.benchmarks.objectives")
