"""A convolution of 4x4 pixels with a 3x3 kernel as a 4x16 matrix, and the effect of its transpose."""

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from docs.figures.drawing import draw_numbers, save

SIDE, KERNEL_SIDE = 4, 3
OUT = SIDE - KERNEL_SIDE + 1
KERNEL = np.arange(1, 10, dtype=np.float32).reshape(KERNEL_SIDE, KERNEL_SIDE)
INPUT = np.array([[1, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 1], [2, 0, 1, 0]], np.float32)


def convolve(images: np.ndarray) -> np.ndarray:
    """TensorFlow's convolution of stride 1 without padding: [N, 4, 4] -> [N, 2, 2]."""
    return tf.nn.conv2d(images[..., None], KERNEL[..., None, None], strides=1, padding="VALID").numpy()[..., 0]


def convolve_transposed(images: np.ndarray) -> np.ndarray:
    """TensorFlow's transposed convolution: [N, 2, 2] -> [N, 4, 4]."""
    shape = (len(images), SIDE, SIDE, 1)
    kernel = KERNEL[..., None, None]
    return tf.nn.conv2d_transpose(images[..., None], kernel, shape, strides=1, padding="VALID").numpy()[..., 0]


def convolution_matrix() -> np.ndarray:
    """The matrix of the convolution, float32 [4, 16]. Column j is the output for an image that is 1 only at pixel j."""
    pixels = np.eye(SIDE * SIDE, dtype=np.float32).reshape(-1, SIDE, SIDE)
    return convolve(pixels).reshape(-1, OUT * OUT).T


def draw() -> None:
    matrix = convolution_matrix()
    output = convolve(INPUT[None])[0]
    back = convolve_transposed(output[None])[0]
    assert np.array_equal(matrix @ INPUT.ravel(), output.ravel())
    assert np.array_equal(matrix.T @ output.ravel(), back.ravel())
    print("The matrix and its transpose give TensorFlow's numbers exactly.")

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    parts = figure.subfigures(2, 1, height_ratios=[2, 3.4], squeeze=False)[:, 0]
    panels = parts[0].subplots(1, 4, width_ratios=[4, 3, 14, 2])
    draw_numbers(panels[0], INPUT, "input x, 4x4")
    draw_numbers(panels[1], KERNEL, "kernel, 3x3", colors="Oranges")
    draw_numbers(panels[2], matrix, "the same as a matrix C, 4x16", colors="Oranges")
    draw_numbers(panels[3], output, "C x, as 2x2", colors="Greens")
    panels = parts[1].subplots(1, 3, width_ratios=[3, 6, 6])
    draw_numbers(panels[0], output, "y, 2x2", colors="Greens")
    draw_numbers(panels[1], matrix.T, "C transposed, 16x4", colors="Oranges", fontsize=7)
    panels[1].set_aspect("auto")
    draw_numbers(panels[2], back, "C transposed times y, as 4x4")
    save(figure, "convolution")
