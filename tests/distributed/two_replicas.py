"""Trains on one replica and on two, and says how far apart they are: python -m tests.distributed.two_replicas CASES

This runs in a process of its own, because the devices of a process are fixed before TensorFlow starts. CASES is JSON:
settings by name; the case batch_norm tests only that layer. Prints a JSON object for each case. With --run_dir=... it
trains one run of the settings on two replicas instead.
"""

import ctypes
import dataclasses
import json
import resource
import sys
from typing import Any

from dcgan_tf.config.settings import Config  # Before TensorFlow, which reads the environment once
from tests.conftest import SMALL

# isort: split
import numpy as np
import tensorflow as tf

from dcgan_tf import progress
from dcgan_tf.data.batches import places_of
from dcgan_tf.models.layers import BatchNorm
from dcgan_tf.serving import saved_model
from dcgan_tf.training import loop
from dcgan_tf.training.gan import GAN

REPLICAS = 2
STEPS = 20
# Adam takes full steps even where a gradient is only rounding error: with small rates, two runs stay close.
RATES = {"learning_rate_generator": 1e-4, "learning_rate_discriminator": 1e-4}


def make_samples(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """The global batches of all steps, always the same ones."""
    count = config.batch_size * config.discriminator_steps
    random = np.random.default_rng(0)
    shape = (STEPS, count, *config.sample_shape)
    images = random.normal(size=shape).astype(np.float32) if config.draws_points else random.integers(0, 256, shape)
    return images.astype(np.float32 if config.draws_points else np.uint8), random.integers(0, 3, (STEPS, count))


def cut(samples: np.ndarray, config: Config) -> np.ndarray:
    """[steps, count, ...] -> [steps * replicas, count / replicas, ...]: the share of each replica in turn."""
    parts = config.discriminator_steps * config.pack
    shares = [samples[:, places_of(replica, REPLICAS, samples.shape[1], parts)] for replica in range(REPLICAS)]
    return np.stack(shares, axis=1).reshape(-1, samples.shape[1] // REPLICAS, *samples.shape[2:])


def make_gan(config: Config) -> GAN:
    gan = GAN(config)
    if gan.adaptive is not None:  # It would hardly begin to augment within these steps.
        gan.adaptive.value.assign(0.7)
    return gan


def weights(gan: GAN) -> dict[str, np.ndarray]:
    networks = {"generator": gan.generator, "discriminator": gan.discriminator, "average": gan.ema_generator}
    return {f"{name}/{w.path}": w.numpy() for name, network in networks.items() for w in network.weights}


def moments(gan: GAN) -> dict[str, np.ndarray]:
    optimizers = {"generator": gan.generator_optimizer, "discriminator": gan.discriminator_optimizer}
    return {f"{name}/{i}": v.numpy() for name, o in optimizers.items() for i, v in enumerate(o.variables)}


def compare(config: Config, strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """How far two replicas end from one, relative to how far training moved each weight."""
    samples = make_samples(config)
    one = make_gan(config)
    first = weights(one)
    metrics, norms = one.train_steps(iter(tf.data.Dataset.from_tensor_slices(samples)), tf.constant(STEPS))
    shares = tuple(cut(array, config) for array in samples)
    with strategy.scope():
        two = make_gan(config)
    two_metrics, two_norms = two.train_steps(iter(tf.data.Dataset.from_tensor_slices(shares)), tf.constant(STEPS))

    one_end, two_end = weights(one), weights(two)
    # Where D's loss does not change when all logits rise together, the last bias follows rounding alone.
    shifts = config.loss in ("hinge", "wasserstein", "relativistic_average", "relativistic_pairing")
    distances = {
        name: np.linalg.norm(two_end[name] - one_end[name]) / np.linalg.norm(one_end[name] - first[name])
        for name in one_end
        if not np.array_equal(one_end[name], first[name]) and not (shifts and name == "discriminator/logits/bias")
    }
    copies = [v for network in (two.generator, two.ema_generator) for v in network.variables]
    one_moments, two_moments = moments(one), moments(two)
    probabilities = [float(gan.adaptive.value.numpy()) for gan in (one, two) if gan.adaptive is not None]
    return {
        "weights": max((float(distance), name) for name, distance in distances.items()),
        "compared": len(distances),
        "moments": max(
            (float(np.linalg.norm(two_moments[name] - value) / (np.linalg.norm(value) + 1e-6)), name)
            for name, value in one_moments.items()
        ),
        "metrics": max(abs(float(two_metrics[name]) - float(metrics[name])) for name in metrics),
        "norms": max(float(np.max(np.abs(two_norms[name] - norms[name]) / (1e-4 + norms[name]))) for name in norms),
        "probabilities": probabilities,
        "copies": float(max(np.max(np.abs(np.ptp([r.numpy() for r in v.value.values], axis=0))) for v in copies)),
    }


def compare_batch_norm(strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """The largest differences between BatchNorm on two replicas (float32, far from 0) and on one (float64, near 0)."""
    random = np.random.default_rng(0)
    # The offset is added in float32, and the second half of the batch has a mean of its own.
    values = (random.normal(size=(8, 3)) + np.repeat([[0], [2]], 4, axis=0) + 1e4).astype(np.float32)
    direction, factors = random.normal(size=(2, 8, 3))

    def derivatives(layer: BatchNorm, *arrays: tf.Tensor) -> list[tf.Tensor]:
        inputs, along, weights = (tf.cast(array, layer.dtype) for array in arrays)
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                outputs = layer(inputs, training=True)
                value = tf.reduce_sum(weights * tf.square(outputs))
            gradient = inner.gradient(value, inputs)
            product = tf.reduce_sum(gradient * along)
        return [outputs, gradient, outer.gradient(product, inputs)]

    one = BatchNorm(momentum=0.0, synchronized=True, dtype="float64")
    expected = derivatives(one, values.astype(np.float64) - 1e4, direction, factors)
    with strategy.scope():
        two = BatchNorm(momentum=0.0, synchronized=True)
        two.build(values.shape)
    halves = [tf.split(tf.constant(array, tf.float32), REPLICAS) for array in (values, direction, factors)]
    shares = [
        strategy.experimental_distribute_values_from_function(
            lambda context, parts=parts: parts[context.replica_id_in_sync_group]
        )
        for parts in halves
    ]
    results = strategy.run(tf.function(derivatives), args=(two, *shares))
    found = [tf.concat(strategy.experimental_local_results(result), axis=0) for result in results]
    pairs = dict(zip(("output", "gradient", "second_derivative"), zip(found, expected, strict=True), strict=True))
    pairs["variance"] = (two.moving_variance, one.moving_variance)
    return {name: float(np.max(np.abs(np.subtract(*pair)))) for name, pair in pairs.items()}


def page_faults_of_a_tensor() -> int:
    """The page faults of allocating, using and freeing 2 MiB ten times, after a first time that must fault."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    size = 2**21
    for attempt in range(11):
        if attempt == 1:  # The first time, it has to.
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        memory = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(size)))
        ctypes.memset(memory, 1, size)
        libc.free(memory)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def main() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * REPLICAS)
    tf.config.experimental.enable_op_determinism()
    if sys.argv[1].startswith("--run_dir="):
        saved_model._verify = lambda *_: None
        settings = {**SMALL, **json.loads(sys.argv[2]), "strategy": "mirrored"}
        with progress.shown():
            loop.train(dataclasses.replace(Config(), **settings), sys.argv[1].partition("=")[2])
        print(json.dumps({"page_faults": page_faults_of_a_tensor()}))
        return
    strategy = tf.distribute.MirroredStrategy()
    for name, changes in json.loads(sys.argv[1]).items():
        if name == "batch_norm":
            print(json.dumps({"name": name, **compare_batch_norm(strategy)}))
            continue
        if "class_names" in changes:
            changes["class_names"] = tuple(changes["class_names"])
        config = dataclasses.replace(Config(), **{**SMALL, **changes, **RATES})
        print(json.dumps({"name": name, **compare(config, strategy)}), flush=True)


if __name__ == "__main__":
    main()
