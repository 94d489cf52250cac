"""A healthy training and four failures, with the monitor's messages."""

import dataclasses
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from dcgan_tf.cli.command_line import in_flags
from dcgan_tf.config.making import make_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.drawing.grids import make_grid
from dcgan_tf.evaluation.quick import spread_images
from dcgan_tf.generation.sampling import monitored_samples, training_samples
from dcgan_tf.training.monitor import REAL_IMAGES, Monitor
from docs.figures.drawing import save
from docs.figures.training import train

# The networks are small, so that five training runs take only minutes.
BASE: dict[str, Any] = {
    "dataset": "mnist",
    "steps": 600,
    "log_every": 25,
    "ema_decay": 0.99,
    "penalty": "none",
    "learning_rate_generator": 5e-4,
    "learning_rate_discriminator": 5e-4,
}
SMALL: dict[str, Any] = {"blocks": 2, "kernel_size": 5, "generator_filters": "24", "discriminator_filters": "16"}
# Title -> settings that differ from these.
TRAININGS: dict[str, dict[str, Any]] = {
    "healthy": SMALL,
    "discriminator wins": {
        **SMALL,
        "loss": "minimax",
        "learning_rate_generator": 5e-5,
        "learning_rate_discriminator": 2e-3,
    },
    "generator wins": {**SMALL, "learning_rate_generator": 2e-3, "learning_rate_discriminator": 5e-6},
    "collapse": {
        "architecture": "mlp",
        "generator_filters": "256,512",
        "discriminator_filters": "256,128",
        "learning_rate_generator": 2e-3,
    },
    "oscillation": {
        **SMALL,
        "discriminator_norm": "none",
        "beta_1": 0.9,
        "learning_rate_generator": 4e-3,
        "learning_rate_discriminator": 4e-3,
    },
}
SHOWN = 16


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a training run.

    Attributes:
        records: One record of scalars every ``log_every`` steps, including those of the monitor.
        sentences: The monitor's messages, in the order of the steps.
        samples: uint8 [64, height, width, channels], from the averaged generator at the end.
    """

    records: list[dict[str, float]]
    sentences: list[str]
    samples: np.ndarray


def watch(typed: dict[str, Any]) -> Outcome:
    """Trains with the monitor of a run."""
    records: list[dict[str, float]] = []
    sentences: list[str] = []
    config, data = prepare(make_config(typed))
    monitor = Monitor(config, spread_images(data, config, REAL_IMAGES))
    for gan, values, _ in train(typed):
        step = int(gan.step)
        diagnosis, said = monitor.observe(step, values, monitored_samples(gan.ema_generator, gan.config))
        records.append({"step": step, **values, **diagnosis})
        sentences += said
    return Outcome(records, sentences, training_samples(gan.ema_generator, gan.config))


def draw() -> None:
    outcomes = {title: watch({**BASE, **changes}) for title, changes in TRAININGS.items()}
    figure = Figure(figsize=(15, 9.2), layout="constrained")
    panels = figure.subplots(4, len(outcomes), height_ratios=[1, 1, 1, 1.5])
    rows = (
        ("Loss", ("loss/discriminator", "loss/generator"), None),
        ("D's probability of real", ("prob/real", "prob/fake"), (-0.03, 1.03)),
        ("Variety, real images 1", ("diagnosis/diversity",), (0, 1.25)),
    )
    for column, (title, outcome) in enumerate(outcomes.items()):
        steps = [record["step"] for record in outcome.records]
        for row, (label, names, limits) in enumerate(rows):
            axes = panels[row, column]
            for name in names:
                axes.plot(steps, [record[name] for record in outcome.records], label=name.split("/")[1], linewidth=1)
            axes.grid(alpha=0.3)
            if limits:
                axes.set_ylim(*limits)
            if not column:
                axes.set_ylabel(label)
                if len(names) > 1:
                    axes.legend(fontsize=8)
        # SMALL is left out of the labels, because the page gives it in the text.
        changes = "\n".join(f"--{name}={value}" for name, value in TRAININGS[title].items() if SMALL.get(name) != value)
        panels[0, column].set_title(title, fontsize=11, weight="bold", pad=46)
        panels[0, column].text(0.5, 1.03, changes, transform=panels[0, column].transAxes, fontsize=7, ha="center")
        panels[2, column].set_xlabel("step")
        panels[3, column].imshow(make_grid(outcome.samples[:SHOWN]), cmap="gray")
        panels[3, column].axis("off")
        last = outcome.records[-1]
        print(f"{title}: {changes.replace(chr(10), ' ')}")
        print("  at the end: " + ", ".join(f"{name} {last[name]:.3f}" for _, names, _ in rows for name in names))
        for sentence in outcome.sentences:
            print(f"  {in_flags(sentence)}")
    save(figure, "failures")
