"""Settings of the length of the training, the seed and the initial weights."""

import dataclasses

from dcgan_tf.config.sections.option import option

MAX_STEPS = 10**9


@dataclasses.dataclass(frozen=True)
class Length:
    """Settings of the length of the training, the seed and the initial weights."""

    steps: int = option(
        10_000,
        "Total training steps. Increase it to continue a finished run.",
        minimum=1,
        maximum=MAX_STEPS,
        may_change=True,
    )
    epochs: float = option(0.0, "Total passes over the data. 0: use `steps` instead.", minimum=0, may_change=True)
    batch_size: int = option(64, "Global batch size, over all devices.", minimum=2)
    seed: int = option(0, "Seed of the weights, the order of the data, and all noise.", minimum=0, maximum=2**31 - 1)
    init_from: str = option(
        "",
        "Model whose weights a new run begins with: the folder of a run or an export, or mnist, the bundled model. "
        "Weights are used where they fit, and training begins at step 0. To resume a run, give `run_dir` alone.",
        path=True,
    )
    freeze_discriminator: int = option(
        0,
        "With `init_from`: number of D's blocks, counted from the image, that keep the model's weights (FreezeD, arXiv "
        "2002.10964).",
        minimum=0,
    )
