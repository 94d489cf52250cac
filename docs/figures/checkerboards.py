"""Checkerboards: how many inputs of a transposed convolution reach each pixel, and generators early in training."""

from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dcgan_tf.drawing.grids import make_grid
from dcgan_tf.generation.sampling import training_samples
from docs.figures.drawing import draw_numbers, save
from docs.figures.training import train

# Title -> settings. The weights are not averaged (see BASE), because averaging would hide how they fluctuate.
GENERATORS: dict[str, dict[str, Any]] = {
    "transposed, kernel 5": {"upsampling": "transposed", "kernel_size": 5},
    "transposed, kernel 4": {"upsampling": "transposed", "kernel_size": 4},
    "nearest and a convolution, kernel 5": {"upsampling": "nearest", "kernel_size": 5},
}
BASE: dict[str, Any] = {
    "dataset": "mnist",
    "blocks": 2,
    "learning_rate_generator": 5e-4,
    "learning_rate_discriminator": 5e-4,
    "steps": 60,
    "penalty": "none",
    "log_every": 30,
    "ema_decay": 0.0,
}
SHOWN = 9
MAP_SIDE, PART = 8, slice(5, 11)


def coverage(kernel_side: int) -> np.ndarray:
    """The number of input pixels that reach each output pixel of a transposed convolution of stride 2."""
    ones = tf.ones((1, MAP_SIDE, MAP_SIDE, 1))
    kernel = tf.ones((kernel_side, kernel_side, 1, 1))
    counts = tf.nn.conv2d_transpose(ones, kernel, (1, 2 * MAP_SIDE, 2 * MAP_SIDE, 1), strides=2)
    return counts.numpy()[0, PART, PART, 0]


def coverage_of_resizing(kernel_side: int) -> np.ndarray:
    """The same number for resizing and a convolution of stride 1."""
    resized = tf.ones((1, 2 * MAP_SIDE, 2 * MAP_SIDE, 1))
    counts = tf.nn.conv2d(resized, tf.ones((kernel_side, kernel_side, 1, 1)), strides=1, padding="SAME")
    return counts.numpy()[0, PART, PART, 0]


def finest_share(images: np.ndarray) -> float:
    """The share of the images' variance in patterns that repeat every two pixels, horizontally, vertically or both.

    Args:
        images: uint8 [N, height, width, 1], with even height and width.
    """
    pixels = images[..., 0].astype(np.float64)
    power = np.abs(np.fft.fft2(pixels)) ** 2
    half_y, half_x = power.shape[1] // 2, power.shape[2] // 2
    finest = power[:, half_y, :].sum(1) + power[:, :, half_x].sum(1) - power[:, half_y, half_x]
    everything = power.sum((1, 2)) - power[:, 0, 0]
    return float((finest / everything).mean())


def draw() -> None:
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    panels = figure.subplots(2, 1 + len(GENERATORS), height_ratios=[1, 1.6])
    for column, (title, changes) in enumerate(GENERATORS.items()):
        is_transposed = changes["upsampling"] == "transposed"
        counts = (coverage if is_transposed else coverage_of_resizing)(changes["kernel_size"])
        draw_numbers(panels[0, column], counts, title, colors="Purples")
        *_, (gan, _, real_images) = train({**BASE, **changes})
        samples = training_samples(gan.ema_generator, gan.config)
        share = finest_share(samples)
        print(f"{title}: {share:.2%} of the variance in the finest patterns at step {int(gan.step)}")
        _show(panels[1, column], samples, f"step {int(gan.step)}: {share:.1%} finest")
    real_share = finest_share(real_images)
    print(f"real digits: {real_share:.2%}")
    panels[0, -1].axis("off")
    panels[0, -1].text(0, 0.5, "How many inputs\nreach each output pixel", fontsize=9, va="center")
    _show(panels[1, -1], real_images, f"real digits: {real_share:.1%} finest")
    save(figure, "checkerboards")


def _show(axes: Any, images: np.ndarray, title: str) -> None:
    axes.imshow(make_grid(images[:SHOWN]), cmap="gray", interpolation="nearest")
    axes.set_title(title, fontsize=9)
    axes.axis("off")
