"""A monitor that names what goes wrong in a training, in a plain sentence with the flags to try."""

import collections
import math
from collections.abc import Sequence

import numpy as np

from dcgan_tf.config.settings import Config
from dcgan_tf.metrics.diversity import mean_pairwise_distance

# The discriminator's loss where it cannot tell real from fake, by the name of the loss. Wasserstein has none: its
# loss is a distance without a scale, so there only collapse and a vanished gradient are recognised.
CHANCE_LOSSES = {
    "non_saturating": 2 * math.log(2),
    "minimax": 2 * math.log(2),
    "least_squares": 0.25,
    "hinge": 2.0,
    "relativistic_average": 2 * math.log(2),
}
# Where the sign of a logit tells what D takes an image for; relative logits have no such sign.
LOSSES_WITH_SIGN = ("non_saturating", "minimax", "least_squares", "hinge")
WINDOW = 6  # Records that must agree before anything is said
FIRST_STEP = 100  # Before it, everything is new to both networks.
# Shares of the loss by chance, and gaps between the mean probabilities of real and fake. Healthy runs of the default on
# MNIST and Fashion-MNIST had median shares of 0.33 and more, gaps up to 0.62, and swings up to 0.6 within a window;
# very small networks passed through shares of 0.1 at first, and recovered.
WON_SHARE = 0.05
LOST_SHARE = 1.5
CLEAR_GAP = 0.15
SWING_SHARE, TURNS = 1.0, 3
COLLAPSED_DIVERSITY = 0.3  # Of the real images' own
RISING = 1.05
VANISHED_GRADIENT = 1e-5

ADVICE = {
    "collapse": "the samples differ far less from each other than real images do. Try --pack=2, --minibatch_stddev, "
    "--unroll_steps=5, --diff_augment=translation,cutout or --loss=wasserstein with --penalty=wgan_gp, and sample from "
    "a checkpoint before this step",
    "discriminator wins": "D is certain of every image, so G gets no direction. Try a smaller "
    "--learning_rate_discriminator, --instance_noise=0.1, --label_smoothing=0.1, --dropout=0.3 or --penalty=r1. "
    "Unless it recovers soon, more steps will not help",
    "vanishing gradient": "G's gradient is gone, so it does not learn any more. Try --loss=non_saturating, a smaller "
    "--learning_rate_discriminator or --instance_noise=0.1",
    "generator wins": "D takes more fakes than real images for real, and its answers mean little to G. Try a larger "
    "--learning_rate_discriminator, a smaller --learning_rate_generator, --discriminator_steps=2 or more "
    "--discriminator_filters",
    "exchanged labels": "D does well at its task and yet calls real images fake and fakes real: real and fake are "
    "exchanged somewhere in the loss or its targets",
    "oscillation": "the losses swing without settling. Try half of both learning rates, --beta_1=0.5 or 0, a larger "
    "--batch_size, --ema_decay=0.999 or --penalty=r1",
}


class Monitor:
    """Watches the scalars and the samples of a training.

    Args:
        config: complete, of the run.
        real_images: uint8 [N, height, width, channels], or points; what variety is compared with.
    """

    def __init__(self, config: Config, real_images: np.ndarray) -> None:
        self._config = config
        self._chance_loss = CHANCE_LOSSES.get(config.loss)
        self._real_distance = mean_pairwise_distance(_flat(real_images)).value
        self._records: collections.deque[dict[str, float]] = collections.deque(maxlen=WINDOW)

    def recall(self, records: Sequence[dict[str, float]]) -> None:
        """Takes up where a resumed run stopped: the records of metrics.jsonl, which hold what was noted then."""
        self._records.extend(record for record in records if "diagnosis/diversity" in record)

    def observe(self, step: int, values: dict[str, float], samples: np.ndarray) -> tuple[dict[str, float], list[str]]:
        """Takes note of one record of scalars.

        Args:
            step: of the record.
            values: by name, as in metrics.jsonl.
            samples: of the same latents in every call, like the real images.

        Returns:
            Scalars ``diagnosis/*`` to be logged, and sentences to be printed: one for each failure that begins.
        """
        distance = mean_pairwise_distance(_flat(samples)).value
        scalars = {
            "diagnosis/diversity": distance / max(self._real_distance, 1e-12),
            "diagnosis/probability_gap": values["prob/real"] - values["prob/fake"],
            "diagnosis/generator_gradient": values["gradient_norm/generator"],
        }
        if self._chance_loss is not None:
            least = least_loss(self._config)
            share = (values["loss/discriminator"] - least) / (self._chance_loss - least)
            scalars["diagnosis/discriminator_loss_share"] = share
        before = self._records[-1] if self._records else {}
        self._records.append(scalars)
        failures = self._failures() if step >= FIRST_STEP else set()
        flags = {name: f"diagnosis/{name.replace(' ', '_')}" for name in ADVICE}
        new = [name for name in ADVICE if name in failures and not before.get(flags[name])]
        scalars |= {flags[name]: float(name in failures) for name in ADVICE}
        return scalars, [f"Step {step}: {name}: {ADVICE[name]}." for name in new]

    def _failures(self) -> set[str]:
        failures: set[str] = set()
        if len(self._records) < WINDOW:
            return failures
        diversities = [record["diagnosis/diversity"] for record in self._records]
        # Rising variety below the limit is a generator that is still taking shape.
        if max(diversities) < COLLAPSED_DIVERSITY and diversities[-1] <= RISING * diversities[0]:
            failures.add("collapse")
        if np.median([record["diagnosis/generator_gradient"] for record in self._records]) < VANISHED_GRADIENT:
            failures.add("vanishing gradient")
        if self._chance_loss is None:
            return failures
        shares = np.array([record["diagnosis/discriminator_loss_share"] for record in self._records])
        gaps = np.array([record["diagnosis/probability_gap"] for record in self._records])
        if self._config.loss in LOSSES_WITH_SIGN and np.all(gaps < -CLEAR_GAP):
            failures.add("exchanged labels" if np.mean(shares) < 1 else "generator wins")
        elif np.median(shares) < WON_SHARE:
            failures.add("discriminator wins")
        elif _swings(shares):
            failures.add("oscillation")
        elif np.mean(shares) > LOST_SHARE:
            failures.add("generator wins")
        return failures


def least_loss(config: Config) -> float:
    """The discriminator's loss if it knew every image's kind: above 0 where its targets are smoothed or by chance.

    A term is linear in its target, so the best answer depends on the mean target alone: for cross-entropy, the loss
    there is the target's entropy; for least squares, half of its variance.
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


def _flat(samples: np.ndarray) -> np.ndarray:
    return samples.reshape(len(samples), -1).astype(np.float32)
