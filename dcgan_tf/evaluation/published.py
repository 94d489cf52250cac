"""Published results on the same data sets, with a note on whether they are comparable with ours."""

import dataclasses

from dcgan_tf.config.sections.data import OWN_PICTURES
from dcgan_tf.config.settings import Config
from dcgan_tf.evaluation.figures import Figure
from dcgan_tf.evaluation.splits import dataset_name

_LUCIC = (
    "Lucic et al. 2018, arXiv 1711.10337: InfoGAN networks, 64-dimensional uniform z, best of 100 random "
    "hyperparameter settings, 10,000 generated and 10,000 test images, grayscale replicated to RGB, 2015 Inception "
    "graph"
)
_STUDIO = "StudioGAN, arXiv 2206.09479: DCGAN, 50,000 generated and 50,000 training images, 2015 Inception graph"


@dataclasses.dataclass(frozen=True)
class Published:
    """A result from a paper. ``measure`` is our name of its metric."""

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
    *_rows("stacked_mnist", "modes_kl", "as above, from the uniform distribution", DCGAN=3.40, ALI=5.40, VEEGAN=2.95),
]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A published result with the corresponding metric of a run, whether they are comparable, and why or why not."""

    published: Published
    figure: Figure
    is_comparable: bool
    reason: str


def compare_with_published(figures: list[Figure], config: Config) -> list[Comparison]:
    """Finds published results for the same data set and the same metrics."""
    name = dataset_name(config)
    comparisons = []
    for published in PUBLISHED:
        # A folder is compared by its name, because it may be a copy of a published data set.
        if published.dataset != name and not name.startswith(f"{published.dataset}_"):
            continue
        for figure in figures:
            # Features of a run's own discriminator are not comparable with anything.
            if figure.name.split("[")[0] == published.measure and "[discriminator]" not in figure.name:
                reason = _difference(published, figure, config)
                comparisons.append(Comparison(published, figure, not reason, reason or "same network and protocol"))
    return comparisons


def _difference(published: Published, figure: Figure, config: Config) -> str:
    reasons = []
    if published.measure.startswith("modes"):
        return "different networks, schedule and digit classifier"
    if not figure.network.startswith("inception-2015 "):
        reasons.append(f"features of {figure.network.split()[0]}, not of the 2015 Inception graph")
    wanted = 10_000 if published.protocol == _LUCIC else 50_000
    if (figure.n_real, figure.n_fake) != (wanted, wanted):
        reasons.append(f"{figure.n_real:,} real and {figure.n_fake:,} generated images instead of {wanted:,} each")
    if published.protocol == _STUDIO and figure.split != "train":
        reasons.append(f"split {figure.split} instead of train")
    if config.dataset in OWN_PICTURES:
        reasons.append("your own files, which may have been re-encoded")
    return "; ".join(reasons)
