"""Losses and gradients of a train step on the GPU compared with the CPU's, from the same weights and images."""

import dataclasses
from typing import Any

import dcgan_tf  # noqa: F401  Settles what TensorFlow reads from the environment

# isort: split
import numpy as np
import tensorflow as tf

from dcgan_tf.config.making import make_config
from dcgan_tf.config.settings import Config
from dcgan_tf.objectives.unrolled import adam_moments
from dcgan_tf.training.gan import GAN
from tests.conftest import SMALL
from tests.gpu.part import Context, device_name

AIM = 1e-3
SIZES: dict[str, dict[str, Any]] = {
    "default": {"image_size": "28", "channels": "1"},
    "dcgan64": {"preset": "dcgan", "image_size": "64", "channels": "3", "batch_size": 32},
}


@dataclasses.dataclass(frozen=True)
class Step:
    """What one step computed.

    Attributes:
        metrics: The step's scalars.
        gradients: By ``network/weight``.
        weights: By ``network/weight``, after the step.
    """

    metrics: dict[str, float]
    gradients: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]


def take_step(config: Config, device: str, start: GAN | None = None) -> tuple[Step, GAN]:
    """One train step on a device.

    Args:
        config: Complete, with Adam.
        device: Such as CPU:0.
        start: The GAN whose weights to begin with; by default a new one.

    Returns:
        The step, and the GAN as it was before the step, on the CPU.
    """
    with tf.device("CPU:0"):
        before = start or GAN(config)
    with tf.device(device):
        gan = GAN(config)
        for name in ("generator", "discriminator", "ema_generator"):
            getattr(gan, name).set_weights(getattr(before, name).get_weights())
        rows = config.batch_size * config.discriminator_steps
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (rows, *config.sample_shape), np.uint8)
        if config.draws_points:
            images = random.normal(size=(rows, *config.sample_shape)).astype(np.float32)
        labels = random.integers(0, max(1, config.label_count), rows)
        metrics, _ = tf.function(gan.train_step, jit_compile=config.jit_compile)(images, labels)
    gradients, weights = {}, {}
    for network, optimizer in (
        (gan.discriminator, gan.discriminator_optimizer),
        (gan.generator, gan.generator_optimizer),
    ):
        moments = adam_moments(optimizer)[0] if config.optimizer == "adam" else []
        for variable, moment in zip(network.trainable_variables, moments, strict=False):
            gradients[f"{network.name}/{variable.path}"] = moment.numpy() / (1 - config.beta_1)
        weights |= {f"{network.name}/{variable.path}": variable.numpy() for variable in network.weights}
    return Step({name: float(value) for name, value in metrics.items()}, gradients, weights), before


def differences(received: Step, expected: Step) -> dict[str, Any]:
    """Relative differences: of each scalar; of all gradients together, and of the worst single one."""
    norms = {name: float(np.linalg.norm(value)) for name, value in expected.gradients.items()}
    apart = {name: float(np.linalg.norm(received.gradients[name] - expected.gradients[name])) for name in norms}
    relative = {name: apart[name] / norms[name] if norms[name] else float(apart[name] > 0) for name in norms}
    worst = max(relative, key=lambda name: relative[name])
    scalars = {
        name: abs(received.metrics[name] - value) / max(abs(value), 1e-6) for name, value in expected.metrics.items()
    }
    together = float(np.linalg.norm(list(apart.values())) / np.linalg.norm(list(norms.values())))
    return {
        "scalars": scalars,
        "gradients": together,
        "worst_gradient": {worst: relative[worst]},
        "agrees": bool(max(together, *scalars.values()) <= AIM),
    }


def compare_float32(context: Context) -> dict[str, Any]:
    """Compares float32 with all its bits: the target is 1e-3."""
    tf.config.experimental.enable_tensor_float_32_execution(False)
    findings = _compare(context, {"float32": {}})
    if not all(size["float32"].get("agrees") for size in findings.values()):
        return findings | {"status": f"failed: more than {AIM} apart"}
    return findings


def compare_reduced(context: Context) -> dict[str, Any]:
    """Compares TF32 (TensorFlow's float32 on such cards) and bfloat16 with float32, and XLA with the CPU's XLA."""
    modes = {"tf32": {}, "xla": {"jit_compile": True}, "bfloat16": {"mixed_precision": True}}
    return _compare(context, modes)


def _compare(context: Context, modes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    tf.config.experimental.enable_op_determinism()
    findings: dict[str, Any] = {}
    for size, settings in list(SIZES.items())[: 1 if context.small else None]:
        if context.small:
            settings = {**SMALL, "dataset": "mnist"}
        findings[size] = {}
        start = None
        for mode, changes in modes.items():
            try:
                config = make_config({**settings, **changes})
                reference = dataclasses.replace(config, mixed_precision=False)
                expected, start = take_step(reference, "CPU:0", start)
                received, _ = take_step(config, device_name(), start)
                findings[size][mode] = differences(received, expected)
            except (tf.errors.OpError, ValueError) as error:
                findings[size][mode] = {"error": f"{type(error).__name__}: {str(error)[:600]}"}
            context.save(findings)
    return findings
