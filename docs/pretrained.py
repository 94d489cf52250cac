"""Makes the bundled generator from a trained run: python -m docs.pretrained RUN

    python -m dcgan_tf train --dataset=mnist --run_dir=runs/pretrained
    python -m dcgan_tf evaluate --run_dir=runs/pretrained
    python -m docs.pretrained runs/pretrained

The command uses the best checkpoint and stores its kernels in half precision. It checks that no pixel of 1,000 images
changes by more than one gray level. The model card contains the metrics of the run's evaluation.json, if that file
belongs to the same checkpoint.
"""

import importlib.metadata
import pathlib
import sys
import tempfile
from typing import Any

import numpy as np
from absl import flags

from dcgan_tf import __version__, files, notices
from dcgan_tf.cli import command_line
from dcgan_tf.config.settings import changed_settings
from dcgan_tf.config.storage import config_from, settings_of_model
from dcgan_tf.errors import UserError
from dcgan_tf.generation.source import PRETRAINED, PRETRAINED_METADATA, PRETRAINED_WEIGHTS
from dcgan_tf.runs.run_directory import Run, load_run

ARGUMENTS = "RUN"
MODEL_CARD = "MODEL_CARD.md"
FLAGS = flags.FLAGS
MAX_BYTES = 4_000_000
CHECKED_IMAGES = 1000
# Data sets whose license allows models trained on them to be bundled with the package.
DATA_LICENSES = {
    "mnist": "MNIST by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, CC BY-SA 3.0 as commonly stated; "
    "see `dcgan_tf/data/mnist/ATTRIBUTION.md`"
}


def define_flags() -> None:
    command_line.define_path("out", str(PRETRAINED), "Folder in which the generator's folder is written.")


def run(arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise UserError(f"expected the folder of one run. Received: {' '.join(arguments)!r}")
    run = load_run(arguments[0])
    notices.import_tensorflow()
    directory = make(run, pathlib.Path(FLAGS.out))
    size = sum(path.stat().st_size for path in directory.iterdir())
    print(f"Wrote {directory}: {size / 1e6:.2f} MB")


def make(run: Run, root: pathlib.Path) -> pathlib.Path:
    """Writes the weights, the settings and the model card of a run.

    Args:
        run: A run on one of the data sets in ``DATA_LICENSES``. Its best checkpoint is used.
        root: Folder in which the folder named after the data set is written or replaced.

    Returns:
        That folder.

    Raises:
        UserError: The data set is not in ``DATA_LICENSES``, the files would be too large, or half precision changes the
            images by more than a gray level.
    """
    from dcgan_tf.generation.networks import load_networks

    config = run.config
    if config.dataset not in DATA_LICENSES:
        raise UserError(f"expected a run on {', '.join(DATA_LICENSES)}. Received: one on {config.dataset}")
    networks = load_networks(run)
    arrays = {
        # Sums over thousands of inputs average out the rounding of kernels, but not that of a scale or a mean.
        f"{network.name}/{weight.path}": weight.numpy().astype(np.float16 if weight.ndim > 1 else np.float32)
        for network in (networks.generator, networks.discriminator)
        for weight in network.weights
    }
    metadata: dict[str, Any] = {
        "step": networks.step,
        "config": settings_of_model(config),
        "packages": {"dcgan_tf": __version__, "tensorflow": importlib.metadata.version("tensorflow")},
    }
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".") as temporary:
        folder = pathlib.Path(temporary)
        files.write_arrays(folder / PRETRAINED_WEIGHTS, **arrays)
        files.write_json(folder / PRETRAINED_METADATA, metadata)
        moved = _largest_change(run, folder, networks.step)
        files.write_text(folder / MODEL_CARD, model_card(run, metadata, moved))
        size = sum(path.stat().st_size for path in folder.iterdir())
        if size > MAX_BYTES:
            raise UserError(f"expected at most {MAX_BYTES:,} bytes. Received: {size:,}. Train with fewer filters")
        if moved > 1:
            raise UserError(f"expected half precision to change gray levels by at most 1. Received: {moved}")
        directory = root / config.dataset
        directory.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.replace(directory / path.name)
    return directory


def _largest_change(run: Run, folder: pathlib.Path, step: int) -> int:
    """The largest difference in gray levels between images of the run and images of the written generator."""
    from dcgan_tf.generation.generator import load_generator, read_source
    from dcgan_tf.generation.source import Source

    before, after = load_generator(run.directory), read_source(Source(folder, run.config, None, step=step))
    seeds = range(CHECKED_IMAGES)
    labels = np.arange(CHECKED_IMAGES) % run.config.label_count if run.config.label_count else None
    first, second = (generator.sample(seeds, labels=labels).astype(int) for generator in (before, after))
    return int(np.abs(first - second).max())


def model_card(run: Run, metadata: dict[str, Any], moved: int) -> str:
    """Describes the generator: its data and license, its training, its metrics and its limits.

    Args:
        run: The run from which the generator was made.
        metadata: The contents of the metadata file.
        moved: Largest change of a gray level by half precision over 1,000 images.
    """
    config, step = config_from(metadata["config"]), metadata["step"]  # Contains no paths of this machine
    height, width, channels = config.sample_shape
    lines = [
        f"# Bundled generator of {config.dataset}",
        "",
        f"A DCGAN that generates {height}x{width} images with {channels} channel{'s' if channels > 1 else ''}, and the "
        f"discriminator it was trained against. `dcgan_tf.load_generator({config.dataset!r})`, `dcgan sample` and "
        "`dcgan explore` use it.",
        "",
        f"- Data: the split `{config.split}` of {config.dataset}, digest `{config.data_digest}`. "
        f"{DATA_LICENSES[config.dataset]}.",
        f"- Training: {step:,} of {run.config.steps:,} steps; settings that differ from the defaults: "
        f"{', '.join(map(_as_code, changed_settings(config))) or 'none'}. "
        f"dcgan_tf {metadata['packages']['dcgan_tf']}, TensorFlow {metadata['packages']['tensorflow']}.",
        f"- Storage: kernels in half precision. For the seeds 0 to {CHECKED_IMAGES - 1}, no gray level differs from "
        f"that of the run by more than {moved}.",
        "- To make it again, train and evaluate a run with these settings, then run `python -m docs.pretrained RUN`.",
        "",
        "## Metrics",
        "",
        *_figures(run, step),
        "",
        "## Limits",
        "",
        "- The generator is meant for demonstrations and tests. Its images have the gaps and biases of the data.",
        "- Images may closely resemble training images. Check before using them where this matters.",
        "",
    ]
    return "\n".join(lines)


def _figures(run: Run, step: int) -> list[str]:
    file = run.directory / "evaluation.json"
    evaluation = files.read_json(file) if file.is_file() else {}
    if evaluation.get("checkpoint_step") != step:
        return ["Not measured."]
    return [
        f"{evaluation['n_fake']:,} generated images, compared with the split {evaluation['real_split']}:",
        "",
        "| Metric | Generated images | Training images |",
        "|---|---|---|",
        *(
            f"| {figure['name']} | {_shown(figure['value'])} | {_shown(figure['real_value'])} |"
            for figure in evaluation["figures"]
        ),
    ]


def _as_code(text: str) -> str:
    return f"`{text}`"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    command_line.run(sys.modules[__name__], sys.argv[1:], "python -m docs.pretrained")
