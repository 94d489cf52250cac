"""Published figures of the same data sets, to stand beside ours with a word on whether they can be compared."""

import dataclasses

from dcgan_tf.config.settings import Config
from dcgan_tf.evaluation.figures import Figure
from dcgan_tf.evaluation.splits import dataset_name

_LUCIC = (
    "Lucic et al. 2018, arXiv 1711.10337: InfoGAN networks, z of 64 uniform numbers, best of 100 draws of "
    "hyper-parameters, 10,000 generated against 10,000 test images, gray tiled to RGB, Inception of 2015"
)
_STUDIO = "StudioGAN, arXiv 2206.09479: DCGAN, 50,000 generated against 50,000 training images, Inception of 2015"


@dataclasses.dataclass(frozen=True)
class Published:
    """A figure from a paper: of a data set, by a method, under a protocol. ``measure`` is our name of its kind."""

    dataset: str
    measure: str
    method: str
    value: float
    protocol: str


def _rows(dataset: str, measure: str, protocol: str, **values: float) -> list[Published]:
    return [Published(dataset, measure, method.replace("_", " "), value, protocol) for method, value in values.items()]


PUBLISHED = [
    *_rows("mnist", "frechet_distance", _LUCIC, minimax_GAN=9.8, non_saturating_GAN=6.8, WGAN=6.7),
    *_rows("fashion_mnist", "frechet_distance", _LUCIC, minimax_GAN=29.6, non_saturating_GAN=26.5, WGAN=21.5),
    *_rows("cifar10", "frechet_distance", _LUCIC, minimax_GAN=72.7, non_saturating_GAN=58.5, WGAN=55.2),
    *_rows("celeb_a", "frechet_distance", _LUCIC, minimax_GAN=65.6, non_saturating_GAN=55.0, WGAN=41.3),
    *_rows("cifar10", "frechet_distance", _STUDIO, DCGAN=48.29),
    *_rows("cifar10", "classifier_score", _STUDIO, DCGAN=6.11),
    *_rows("cifar10", "precision", _STUDIO, DCGAN=0.61),
    *_rows("cifar10", "recall", _STUDIO, DCGAN=0.21),
    *_rows("cifar10", "density", _STUDIO, DCGAN=0.52),
    *_rows("cifar10", "coverage", _STUDIO, DCGAN=0.28),
    *_rows(
        "stacked_mnist",
        "modes_found",
        "Srivastava et al. 2017, arXiv 1705.07761: 26,000 samples, 50 epochs of 128,000 stacks",
        DCGAN=99.0,
        ALI=16.0,
        Unrolled_GAN=48.7,
        VEEGAN=150.0,
    ),
    *_rows(
        "stacked_mnist", "modes_kl", "as above, against the uniform distribution", DCGAN=3.40, ALI=5.40, VEEGAN=2.95
    ),
]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A published figure beside one of ours, whether they are comparable, and why not."""

    published: Published
    figure: Figure
    is_comparable: bool
    reason: str


def compare_with_published(figures: list[Figure], config: Config) -> list[Comparison]:
    """Finds what is published of the same data set and kind of figure."""
    name = dataset_name(config)
    comparisons = []
    for published in PUBLISHED:
        # A folder is nobody's data set, but may well be a copy of one.
        if published.dataset != name and not name.startswith(f"{published.dataset}_"):
            continue
        for figure in figures:
            # A run's own discriminator is no common yardstick.
            if figure.name.split("[")[0] == published.measure and "[discriminator]" not in figure.name:
                reason = _difference(published, figure, config)
                comparisons.append(Comparison(published, figure, not reason, reason or "same network and protocol"))
    return comparisons


def _difference(published: Published, figure: Figure, config: Config) -> str:
    reasons = []
    if published.measure.startswith("modes"):
        return "other networks and schedule, another digit classifier"
    if not figure.network.startswith("inception-2015 "):
        reasons.append(f"features of {figure.network.split()[0]}, not of the 2015 Inception")
    wanted = 10_000 if published.protocol == _LUCIC else 50_000
    if (figure.n_real, figure.n_fake) != (wanted, wanted):
        reasons.append(f"{figure.n_real:,} real and {figure.n_fake:,} generated images, there {wanted:,} each")
    if published.protocol == _STUDIO and figure.split != "train":
        reasons.append(f"split {figure.split}, there train")
    if config.dataset == "folder":
        reasons.append("pictures from a folder, perhaps recoded")
    return "; ".join(reasons)
