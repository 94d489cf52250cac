"""How long the training takes, and what its randomness and its weights begin with."""

import dataclasses

from dcgan_tf.config.sections.option import option


@dataclasses.dataclass(frozen=True)
class Length:
    """How long the training takes, and what its randomness and its weights begin with."""

    steps: int = option(
        10_000,
        "Train steps in all. A finished run continues when this grows.",
        minimum=1,
        maximum=10**9,
        may_change=True,
    )
    epochs: float = option(
        0.0, "Passes over the data in all; 0 means that `steps` decides.", minimum=0, may_change=True
    )
    batch_size: int = option(64, "Images in a batch, over all devices.", minimum=2)
    seed: int = option(0, "Seed of the weights, the order of the data, and all noise.", minimum=0, maximum=2**31 - 1)
    init_from: str = option(
        "",
        "Folder of another run or of an export, or mnist, the bundled model: a new run begins with its weights, where "
        "they fit, at step 0. To resume a run, name it with `run_dir` alone.",
        path=True,
    )
    freeze_discriminator: int = option(
        0,
        "With `init_from`: how many blocks of D, from the image on, keep the weights of the model (FreezeD, arXiv "
        "2002.10964).",
        minimum=0,
    )
