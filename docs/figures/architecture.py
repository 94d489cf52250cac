"""Both networks as a row of feature maps, drawn from the layers of the built models."""

import dataclasses
from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from dcgan_tf.config.making import make_config
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from dcgan_tf.models.resizing import NearestConv2D
from docs.figures.drawing import save

# Name of the figure -> the settings of the networks.
MODELS: dict[str, dict[str, Any]] = {
    "architecture-mnist": {"dataset": "mnist", "image_size": "28", "channels": "1"},
    "architecture-paper": {"preset": "dcgan", "image_size": "64", "channels": "3"},
}
# Layers that make a new feature map. The other layers work on it.
MAKERS = (
    keras.layers.Dense,
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
)
COLORS = {1: "#fdd0a2", 3: "#9ecae1"}  # Rank of a shape -> color: vectors and feature maps.
PITCH = 2.6


@dataclasses.dataclass
class Stage:
    """A layer that makes a feature map and the layers that follow it, with descriptions and the output shape."""

    shape: tuple[int, ...]
    operation: str
    followers: list[str]


def stages(model: keras.Model) -> list[Stage]:
    """Groups the layers of a sequential network. Each group begins with a layer that makes a feature map."""
    found = [Stage(tuple(model.inputs[0].shape[1:]), "", [model.inputs[0].name])]
    for layer in model.layers[1:]:
        words = describe(layer)
        if isinstance(layer, MAKERS):
            found.append(Stage((), words, []))
        else:
            found[-1].followers.append(words)
        found[-1].shape = tuple(layer.output.shape[1:])
    return found


def describe(layer: keras.Layer) -> str:
    """Describes a layer in a few words."""
    match layer:
        case keras.layers.Dense():
            return "linear"
        case keras.layers.Conv2DTranspose():
            return f"transposed conv\n{layer.kernel_size[0]}x{layer.kernel_size[1]}, stride {layer.strides[0]}"
        case NearestConv2D():
            return f"repeated pixels,\nconv {layer.kernel_size[0]}x{layer.kernel_size[1]}"
        case keras.layers.Conv2D():
            return f"conv {layer.kernel_size[0]}x{layer.kernel_size[1]}\nstride {layer.strides[0]}"
        case keras.layers.BatchNormalization():
            return "BatchNorm"
        case keras.layers.LeakyReLU():
            return f"LeakyReLU {layer.negative_slope:g}"
        case keras.layers.Activation():
            return layer.activation.__name__
    return type(layer).__name__.lower() if isinstance(layer, MAKERS) else type(layer).__name__


def draw_stages(axes: Axes, found: list[Stage], title: str) -> None:
    """Draws one box per stage, whose height shows the map's size and whose depth shows its channels, with captions."""
    for number, stage in enumerate(found):
        left = number * PITCH
        _draw_box(axes, left, stage.shape)
        shape = "x".join(map(str, stage.shape))
        axes.text(left + 0.2, -1.75, "\n".join([shape, *stage.followers]), ha="center", va="top", fontsize=8)
        if stage.operation:
            axes.annotate(
                "",
                (left - 0.7, 0),
                (left - PITCH + 1.15, 0),
                arrowprops={"arrowstyle": "->", "color": "0.4"},
            )
            axes.text(left - PITCH / 2 + 0.3, 1.95, stage.operation, ha="center", va="bottom", fontsize=8, color="0.25")
    axes.set_title(title, fontsize=10, loc="left")
    axes.set(xlim=(-1, PITCH * len(found) - 1), ylim=(-3.2, 2.6), aspect="equal")
    axes.axis("off")


def _draw_box(axes: Axes, left: float, shape: tuple[int, ...]) -> None:
    """Draws a feature map as a slab whose width along x grows with its channels, and a vector as a bar."""
    if len(shape) == 3:
        height, depth = 0.34 * np.sqrt(shape[0]), 0.14 * np.log2(2 * shape[-1])
        skew = height / 5
    else:
        height, depth, skew = 0.2 * np.log2(2 * shape[0]), 0.14, 0.06
    half = height / 2
    front = [(0, -half), (depth, -half), (depth, half), (0, half)]
    top = [(0, half), (depth, half), (depth + skew, half + skew), (skew, half + skew)]
    side = [(depth, -half), (depth + skew, -half + skew), (depth + skew, half + skew), (depth, half)]
    shift = np.array([left + 0.2 - (depth + skew) / 2, -skew / 2])
    color = COLORS[len(shape)]
    for face, alpha in ((front, 1.0), (top, 0.6), (side, 0.8)):
        axes.add_patch(Polygon(np.array(face) + shift, facecolor=color, edgecolor="0.3", linewidth=0.8, alpha=alpha))


def draw() -> None:
    for name, typed in MODELS.items():
        config = make_config(typed)
        networks = [configured_generator(config, seed=0), configured_discriminator(config, seed=0)]
        rows = [stages(network) for network in networks]
        width = max(map(len, rows))
        figure = Figure(figsize=(1.55 * width + 0.4, 6.6), layout="constrained")
        for axes, network, row in zip(figure.subplots(2, 1), networks, rows, strict=True):
            draw_stages(axes, row, f"{network.name.capitalize()}, {network.count_params():,} parameters")
            axes.set_xlim(-1, PITCH * width - 1)
            print(f"{name}: {network.name}, {' -> '.join('x'.join(map(str, stage.shape)) for stage in row)}")
        save(figure, name)
