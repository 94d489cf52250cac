"""A monitor that recognizes failures of training and reports each in a sentence with the settings to try."""

import collections
import math
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from dcgan_tf.config.combinations import LOSSES_WITH_SIGN
from dcgan_tf.config.settings import Config
from dcgan_tf.evaluation.features import random_network
from dcgan_tf.metrics.variety import RealVariety
from dcgan_tf.objectives.losses import CHANCE_LOSSES

WINDOW = 6  # Number of records that must agree before a failure is reported
# Records of few steps vary at random, so a window covers at least about this many steps.
WINDOW_STEPS = 60
FIRST_STEP = 100  # Earlier, both networks have hardly learned anything.
# Shares of the chance-level loss, and gaps between the mean probabilities of real and fake images. Healthy runs with
# the default settings on MNIST and Fashion-MNIST had median shares of at least 0.33, gaps up to 0.62, and swings up to
# 0.6 within a window. Very small networks had shares of 0.1 at first and recovered.
WON_SHARE = 0.05
LOST_SHARE = 1.5
CLEAR_GAP = 0.15
SWING_SHARE, TURNS = 1.0, 3
# Thresholds of collapse. Over 100 draws, 128 real digits had a group distance of at most 0.24, and 128 digits of a
# single class had 0.49 to 0.85. Healthy runs on MNIST and CIFAR-10 had up to 0.44 in windows without improvement, and
# below 0.3 later. Noise has a group distance of 0.8 and no realism.
REAL_IMAGES = 1000
REPEATING = 0.5
ALIKE = 0.1
MISSED_GROUPS, REALISTIC = 0.45, 0.5
RISING, FALLING = 1.05, 0.9

ADVICE = {
    "collapse": "the samples repeat each other, or cover only some of the kinds of images in the data. Try `pack=2`, "
    "`minibatch_stddev=True`, `unroll_steps=5`, `diff_augment=translation,cutout` or `loss=wasserstein` with "
    "`penalty=wgan_gp`, and sample from a checkpoint before this step",
    "discriminator wins": "D is certain about every image, so G gets no useful gradient. Try a smaller "
    "`learning_rate_discriminator`, `instance_noise=0.1`, `label_smoothing=0.1`, `dropout=0.3` or `penalty=r1` (a "
    "larger `penalty_weight` if there is a penalty); with few images, `augment=ada`; and `loss=non_saturating` instead "
    "of minimax. Unless it recovers soon, more steps will not help",
    "generator wins": "D rates fakes as real more often than real images, so its feedback is of little use to G. Try a "
    "larger `learning_rate_discriminator`, a smaller `learning_rate_generator`, `discriminator_steps=2` or more "
    "`discriminator_filters`",
    "oscillation": "the losses swing without settling. Try half of both learning rates, `beta_1=0.5` or 0, a larger "
    "`batch_size`, `ema_decay=0.999` or `penalty=r1` (a larger `penalty_weight` if there is a penalty)",
}


class Monitor:
    """Watches the scalars and the samples of a run for failures.

    Args:
        config: The complete configuration of the run.
        real_images: Real images to compare the samples with, in parts: uint8 [N, height, width, channels], or points.
    """

    def __init__(self, config: Config, real_images: Iterable[np.ndarray]) -> None:
        self._config = config
        self._network = None if config.draws_points else random_network(config.sample_shape)
        self._real = RealVariety(np.concatenate([self._features(part) for part in real_images]))
        # Without a chance level, only collapse is recognized.
        self._chance_loss = CHANCE_LOSSES.get(config.loss)
        self._signs = ["diversity", "repeats", "group_distance", "realism", "probability_gap"]
        if self._chance_loss is not None:
            self._signs.append("discriminator_loss_share")
        self._records: collections.deque[dict[str, float]] = collections.deque(maxlen=WINDOW_STEPS)

    def recall(self, records: Sequence[dict[str, float]]) -> None:
        """Restores the monitor of a resumed run from the records of metrics.jsonl."""
        complete = {"step", *(f"diagnosis/{sign}" for sign in self._signs)}
        self._records.extend(record for record in records if complete <= record.keys())

    def observe(self, step: int, values: dict[str, float], samples: np.ndarray) -> tuple[dict[str, float], list[str]]:
        """Processes one record of scalars.

        Args:
            step: Step of the record.
            values: The scalars by name, as in metrics.jsonl: means over all steps since the last record.
            samples: Images generated from the same latents in every call, in the format of the real images.

        Returns:
            The scalars ``diagnosis/*`` to be logged, and one sentence for each failure that begins.
        """
        signs = self._real.compare(self._features(samples))._asdict()
        signs["probability_gap"] = values["prob/real"] - values["prob/fake"]
        if self._chance_loss is not None:
            least = least_loss(self._config)
            signs["discriminator_loss_share"] = (values["loss/discriminator"] - least) / (self._chance_loss - least)
        scalars = {f"diagnosis/{sign}": value for sign, value in signs.items()}
        before = self._records[-1] if self._records else {}
        self._records.append({"step": step, **scalars})
        failures = self._failures() if step >= FIRST_STEP else set()
        flags = {name: f"diagnosis/{name.replace(' ', '_')}" for name in ADVICE}
        new = [name for name in ADVICE if name in failures and not before.get(flags[name])]
        states = {flags[name]: float(name in failures) for name in ADVICE}
        self._records[-1] |= states
        return scalars | states, [f"Step {step}: {name}: {ADVICE[name]}." for name in new]

    def _features(self, samples: np.ndarray) -> np.ndarray:
        return samples if self._network is None else self._network.function(tf.constant(samples))[0].numpy()

    def _failures(self) -> set[str]:
        failures: set[str] = set()
        steps = self._records[-1]["step"] - self._records[0]["step"]
        if len(self._records) < WINDOW or steps < WINDOW_STEPS * (WINDOW - 1) / WINDOW:
            return failures
        signs = self._window()
        # A generator that is still learning improves within a window, so it is not reported.
        if _looks_collapsed(signs) and (self._records[-2].get("diagnosis/collapse") or not _is_improving(signs)):
            failures.add("collapse")
        if self._chance_loss is None:
            return failures
        shares = signs["discriminator_loss_share"]
        if self._config.loss in LOSSES_WITH_SIGN and np.all(signs["probability_gap"] < -CLEAR_GAP):
            failures.add("generator wins")
        elif np.median(shares) < WON_SHARE:
            failures.add("discriminator wins")
        elif _swings(shares):
            failures.add("oscillation")
        elif np.mean(shares) > LOST_SHARE:
            failures.add("generator wins")
        return failures

    def _window(self) -> dict[str, np.ndarray]:
        """The newest values of each sign, [WINDOW]. If records cover few steps, each value is a mean of several."""
        records = list(self._records)
        count = sum(record["step"] > records[-1]["step"] - WINDOW_STEPS for record in records)
        newest = records[-max(count, WINDOW) :]
        return {
            sign: np.array(
                [part.mean() for part in np.array_split([record[f"diagnosis/{sign}"] for record in newest], WINDOW)]
            )
            for sign in self._signs
        }


def _looks_collapsed(signs: dict[str, np.ndarray]) -> bool:
    diversity, repeats, group_distance, realism = (
        signs[name].mean() for name in ("diversity", "repeats", "group_distance", "realism")
    )
    return bool(diversity < ALIKE or repeats > REPEATING or (group_distance > MISSED_GROUPS and realism > REALISTIC))


def _is_improving(signs: dict[str, np.ndarray]) -> bool:
    diversity, group_distance = (np.split(signs[name], 2) for name in ("diversity", "group_distance"))
    return bool(
        diversity[1].mean() > RISING * diversity[0].mean()
        or group_distance[1].mean() < FALLING * group_distance[0].mean()
    )


def least_loss(config: Config) -> float:
    """The lowest possible loss of the discriminator. Smoothed or random targets make it greater than 0.

    A term is linear in its target, so the best output depends only on the mean target. Its loss is the entropy of the
    target for cross-entropy, and half of the target's variance for least squares.
    """
    flip, noise = config.label_flip, config.label_noise / 2
    least = 0.0
    for target in (1 - config.label_smoothing - noise, noise):
        mean = target * (1 - flip) + (1 - target) * flip
        if config.loss == "least_squares":
            least += mean * (1 - mean) / 2
        elif 0 < mean < 1:
            least -= mean * math.log(mean) + (1 - mean) * math.log(1 - mean)
    return least


def _swings(shares: np.ndarray) -> bool:
    differences = np.diff(shares)
    turns = np.sum(differences[1:] * differences[:-1] < 0)
    return bool(np.ptp(shares) > SWING_SHARE and turns >= TURNS)
