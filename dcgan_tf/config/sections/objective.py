"""What the two networks are trained for, and how."""

import dataclasses

from dcgan_tf.config.sections.option import option

# The keys of dictionaries that need TensorFlow, without which this package does.
LOSS_NAMES = (
    "non_saturating",
    "minimax",
    "least_squares",
    "hinge",
    "wasserstein",
    "relativistic_average",
    "relativistic_pairing",
)
PENALTY_NAMES = ("wgan_gp", "r1", "r1_r2", "dragan")
DECAY_NAMES = ("constant", "linear", "exponential", "cosine")
AUGMENTATION_NAMES = ("color", "translation", "cutout")


@dataclasses.dataclass(frozen=True)
class Objective:
    """What the two networks are trained for, and how."""

    loss: str = option(
        "non_saturating",
        "non_saturating: G maximizes log D(G(z)). minimax: G minimizes log(1 - D(G(z))), the game's value itself. "
        "least_squares (arXiv 1611.04076), hinge (1705.02894), wasserstein (1701.07875), relativistic_average "
        "(1807.00734), relativistic_pairing (2501.05441).",
        choices=LOSS_NAMES,
    )
    penalty: str = option(
        "none",
        "On D's gradient at its input. wgan_gp (arXiv 1704.00028): length 1 between real and fake. r1 (1801.04406): "
        "length 0 at real images. r1_r2 (2501.05441): at fake ones, too. dragan (1705.07215): length 1 around real "
        "images.",
        choices=("none", *PENALTY_NAMES),
    )
    penalty_weight: float = option(10.0, "Factor of the penalty: lambda, or gamma for r1.", above=0)
    penalty_every: int = option(
        1, "Train steps from one penalty to the next, which then counts that many times (arXiv 1912.04958).", minimum=1
    )
    weight_clip: float = option(
        0.0, "Keep the discriminator's weights between minus and plus this number (arXiv 1701.07875); 0: no.", minimum=0
    )
    unroll_steps: int = option(
        0, "Virtual D updates through which G's loss looks ahead (arXiv 1611.02163).", minimum=0, maximum=100
    )
    discriminator_steps: int = option(
        1, "Updates of the discriminator, each with a batch of its own, before one of G.", minimum=1, maximum=100
    )
    instance_noise: float = option(
        0.0,
        "Deviation of the normal noise added to real and fake images at first, where 1 is half of the range from "
        "black to white (arXiv 1610.04490).",
        minimum=0,
    )
    instance_noise_decay: str = option(
        "linear",
        "How that noise fades: to 0 (linear, cosine) or to 1 % (exponential) in `instance_noise_steps`.",
        choices=DECAY_NAMES,
    )
    instance_noise_steps: int = option(2000, "Train steps until the instance noise has faded.", minimum=1)
    label_smoothing: float = option(
        0.0, "D's target for real images is 1 less this; the one for fakes stays 0 (arXiv 1606.03498).", minimum=0
    )
    label_noise: float = option(
        0.0, "D's targets are moved by up to this much towards each other, by chance an image.", minimum=0
    )
    label_flip: float = option(0.0, "Probability that D is told the opposite of an image's kind.", minimum=0, below=0.5)
    diff_augment: str = option(
        "",
        "Differentiable augmentations of all that D sees, any of color,translation,cutout (arXiv 2006.10738): for "
        "small data sets.",
    )
    augment: str = option(
        "none",
        "ada: mirror, shift, scale, rotate, recolor and cut out what D sees, each with a probability per image that "
        "rises while D is too sure of the real images (arXiv 2006.06676): for small data sets.",
        choices=("none", "ada"),
    )
    optimizer: str = option("adam", "adam, or rmsprop as in arXiv 1701.07875.", choices=("adam", "rmsprop"))
    learning_rate_decay: str = option(
        "constant",
        "How both learning rates change: to 0 (linear, cosine) or 1 % (exponential) in `learning_rate_decay_steps`.",
        choices=DECAY_NAMES,
    )
    learning_rate_decay_steps: int = option(0, "Train steps until the learning rates have decayed.", minimum=0)
    learning_rate_generator: float = option(1e-3, "The generator's learning rate.", above=0)
    learning_rate_discriminator: float = option(1e-3, "The discriminator's learning rate.", above=0)
    beta_1: float = option(0.5, "Adam's decay rate of the first moment.", minimum=0, below=1)
    beta_2: float = option(0.999, "Decay rate of the second moment, of Adam or RMSProp.", minimum=0, below=1)
    ema_decay: float = option(
        0.999,
        "Decay of the moving average of the generator's weights, with which images are sampled and exported. "
        "0: the last weights as they are.",
        minimum=0,
        below=1,
    )
    fresh_noise: bool = option(
        False, "Draw new noise for the generator's update, in place of the images that the discriminator just saw."
    )
    joint_batch: bool = option(
        False, "Show real and fake images to the discriminator in one batch, with common BatchNorm statistics."
    )
