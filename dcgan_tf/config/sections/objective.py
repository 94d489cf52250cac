"""Settings of the objective and of the optimization."""

import dataclasses

from dcgan_tf.config.sections.option import option

# The keys of dictionaries that need TensorFlow, which this package must not import.
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
    """Settings of the objective and of the optimization."""

    loss: str = option(
        "non_saturating",
        "Loss of both networks. non_saturating: G maximizes log D(G(z)). minimax: G minimizes log(1 - D(G(z))), the "
        "value of the game itself. The others: least_squares (arXiv 1611.04076), hinge (1705.02894), wasserstein "
        "(1701.07875), relativistic_average (1807.00734), relativistic_pairing (2501.05441).",
        choices=LOSS_NAMES,
    )
    penalty: str = option(
        "auto",
        "Gradient penalty on D. wgan_gp (arXiv 1704.00028): unit norm between real and fake images. r1 (1801.04406): "
        "zero norm at real images. r1_r2 (2501.05441): zero norm at real and at fake images. dragan (1705.07215): unit "
        "norm around real images. auto: a weak r1 every 4 steps for a non-saturating loss and a D with convolutions "
        "and BatchNorm, unless another setting bounds D or shows it several images at once; otherwise none.",
        choices=("auto", "none", *PENALTY_NAMES),
    )
    penalty_weight: float = option(10.0, "Weight of the penalty: lambda, or gamma for r1 and r1_r2.", above=0)
    penalty_every: int = option(
        1, "Apply the penalty every N steps, scaled by N (lazy regularization, arXiv 1912.04958).", minimum=1
    )
    weight_clip: float = option(
        0.0,
        "Clip the discriminator's weights to the range from minus to plus this number (arXiv 1701.07875). 0: no limit.",
        minimum=0,
    )
    unroll_steps: int = option(
        0, "Number of D updates to unroll for G's loss (arXiv 1611.02163).", minimum=0, maximum=100
    )
    discriminator_steps: int = option(
        1, "Discriminator updates per generator update, each with its own batch.", minimum=1, maximum=100
    )
    instance_noise: float = option(
        0.0,
        "Standard deviation of the Gaussian noise that is added to real and fake images, at the start. 1 is half of "
        "the range from black to white (arXiv 1610.04490).",
        minimum=0,
    )
    instance_noise_decay: str = option(
        "linear",
        "How the instance noise decays. linear, cosine: to 0 in `instance_noise_steps`. exponential: to 1% in "
        "`instance_noise_steps`. constant: not at all.",
        choices=DECAY_NAMES,
    )
    instance_noise_steps: int = option(2000, "Training steps until the instance noise has decayed.", minimum=1)
    label_smoothing: float = option(
        0.0,
        "Lower D's target for real images from 1 by this much (arXiv 1606.03498). The target for fakes stays 0.",
        minimum=0,
    )
    label_noise: float = option(
        0.0,
        "Randomly move D's target for each image by up to this much toward the target of the other class.",
        minimum=0,
    )
    label_flip: float = option(0.0, "Probability of flipping an image's real/fake label for D.", minimum=0, below=0.5)
    diff_augment: str = option(
        "",
        "Differentiable augmentation of everything that D sees, for small data sets. Any of color,translation,cutout "
        "(arXiv 2006.10738).",
    )
    augment: str = option(
        "none",
        "Adaptive augmentation of what D sees, for small data sets. ada: mirror, shift, scale, rotate, recolor and cut "
        "out, each with a probability per image that rises while D is too certain of the real images (arXiv "
        "2006.06676).",
        choices=("none", "ada"),
    )
    optimizer: str = option(
        "adam", "Optimizer of both networks: adam, or rmsprop as in arXiv 1701.07875.", choices=("adam", "rmsprop")
    )
    learning_rate_decay: str = option(
        "constant",
        "How both learning rates decay. linear, cosine: to 0 in `learning_rate_decay_steps`. exponential: to 1% in "
        "`learning_rate_decay_steps`. constant: not at all.",
        choices=DECAY_NAMES,
    )
    learning_rate_decay_steps: int = option(
        0, "Training steps until the learning rates have decayed. 0: the length of the run.", minimum=0
    )
    learning_rate_generator: float = option(1e-3, "The generator's learning rate.", above=0)
    learning_rate_discriminator: float = option(1e-3, "The discriminator's learning rate.", above=0)
    beta_1: float = option(0.5, "Adam's decay rate of the first moment.", minimum=0, below=1)
    beta_2: float = option(0.999, "Decay rate of the second moment, for Adam or RMSProp.", minimum=0, below=1)
    ema_decay: float = option(
        0.999,
        "Decay of the exponential moving average of the generator's weights. Samples and exports use the average. 0: "
        "they use the raw weights.",
        minimum=0,
        below=1,
    )
    fresh_noise: bool = option(
        False,
        "Draw new noise for the generator's update. Otherwise it reuses the fakes that the discriminator just saw.",
    )
    joint_batch: bool = option(
        False, "Show real and fake images to the discriminator in one batch, with shared BatchNorm statistics."
    )
