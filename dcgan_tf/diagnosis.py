"""A monitor that names what goes wrong in a training, in a plain sentence with the flags to try."""

import collections
import math
from collections.abc import Sequence

import numpy as np

from dcgan_tf.config import Config
from dcgan_tf.metrics.diversity import mean_pairwise_distance

# The discriminator's loss where it cannot tell real from fake, by the name of the loss. Wasserstein has none: its
# loss is a distance without a scale.
CHANCE_LOSSES = {
    "non_saturating": 2 * math.log(2),
    "minimax": 2 * math.log(2),
    "least_squares": 0.25,
    "hinge": 2.0,
    "relativistic_average": 2 * math.log(2),
}
WINDOW = 6  # Records that must agree before anything is said
FIRST_STEP = 200  # Before it, everything is new to both networks.
# Shares of the loss by chance, and gaps between the mean probabilities of real and fake. Healthy runs of the default on
# MNIST and Fashion-MNIST had median shares of 0.33 and more, gaps up to 0.62, and swings up to 0.6 within a window;
# very small networks passed through shares of 0.1 at first, and recovered.
WON_SHARE, WON_GAP = 0.05, 0.95
LOST_SHARE = 1.5
CLEAR_GAP = 0.2
SWING_SHARE, TURNS = 1.0, 3
COLLAPSED_DIVERSITY = 0.3  # Of the real images' own
RISING = 1.05

ADVICE = {
    "collapse": "the samples differ far less from each other than real images do. Try --pack=2, --minibatch_stddev, "
    "--unroll_steps=5, --diff_augment=translation,cutout or --loss=wasserstein with --penalty=wgan_gp, and sample from "
    "a checkpoint before this step",
    "discriminator wins": "D is certain of every image, so G gets no direction. Try a smaller "
    "--learning_rate_discriminator, --instance_noise=0.1, --label_smoothing=0.1, --dropout=0.3 or --penalty=r1. "
    "Unless it recovers soon, more steps will not help",
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
        self._chance_loss = CHANCE_LOSSES.get(config.loss)
        self._real_distance = mean_pairwise_distance(_flat(real_images)).value
        self._records: collections.deque[dict[str, float]] = collections.deque(maxlen=WINDOW)

    def recall(self, records: Sequence[dict[str, float]]) -> None:
        """Takes up where a resumed run stopped: the records of metrics.jsonl, which hold what was noted then."""
        self._records.extend(records)

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
        }
        if self._chance_loss is not None:
            scalars["diagnosis/discriminator_loss_share"] = values["loss/discriminator"] / self._chance_loss
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
        if self._chance_loss is None:
            return failures
        shares = np.array([record["diagnosis/discriminator_loss_share"] for record in self._records])
        gaps = np.array([record["diagnosis/probability_gap"] for record in self._records])
        if np.all(gaps < -CLEAR_GAP):
            failures.add("exchanged labels" if np.mean(shares) < 1 else "generator wins")
        elif np.median(shares) < WON_SHARE and np.median(gaps) > WON_GAP:
            failures.add("discriminator wins")
        elif _swings(shares):
            failures.add("oscillation")
        elif np.mean(shares) > LOST_SHARE and np.mean(gaps) < 0:
            failures.add("generator wins")
        return failures


def _swings(shares: np.ndarray) -> bool:
    differences = np.diff(shares)
    turns = np.sum(differences[1:] * differences[:-1] < 0)
    return bool(np.ptp(shares) > SWING_SHARE and turns >= TURNS)


def _flat(samples: np.ndarray) -> np.ndarray:
    return samples.reshape(len(samples), -1).astype(np.float32)
