"""The two losses of the generator and their gradients as functions of the discriminator's logit."""

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from dcgan_tf.objectives.losses import LOSSES
from docs.figures.drawing import save

LOGITS = np.linspace(-8, 8, 401, dtype=np.float32)
NAMES = {"minimax": "minimax, log(1 - D)", "non_saturating": "non-saturating, -log D"}
REJECTED = 0.01  # D's probability for fakes early in training


def values_and_gradients(name: str, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The named loss of G at D's logits, and its derivative, both computed by TensorFlow."""
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        values = LOSSES[name].generator(variable)
    return values.numpy(), tape.gradient(values, variable).numpy()


def draw() -> None:
    figure = Figure(figsize=(8.8, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    rejected = np.array([np.log(REJECTED / (1 - REJECTED))], np.float32)
    for name, label in NAMES.items():
        values, gradients = values_and_gradients(name, LOGITS)
        left.plot(LOGITS, values, label=label)
        right.plot(LOGITS, np.abs(gradients), label=label)
        size = abs(values_and_gradients(name, rejected)[1][0])
        right.plot(rejected, size, "o", color=right.lines[-1].get_color())
        right.annotate(f"{size:.2f}", (rejected[0], size), xytext=(-22, 4), textcoords="offset points", fontsize=8)
        print(f"{name}: where D is {REJECTED:.0%} sure that a fake is real, the gradient's size is {size:.4f}")
    left.set(title="Loss of G", xlabel="D's logit for a fake (below 0: rejected)")
    right.set(title="Size of its gradient", xlabel="D's logit for a fake (dots: D = 0.01)")
    for axes in (left, right):
        axes.axvspan(-8, -2, color="0.93", zorder=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    left.text(-7.8, left.get_ylim()[0] + 0.4, "early in training", fontsize=8, color="0.35")
    save(figure, "gradients")
