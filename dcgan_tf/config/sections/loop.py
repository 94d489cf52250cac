"""What happens around the train steps."""

import dataclasses

from dcgan_tf.config.sections.option import option


@dataclasses.dataclass(frozen=True)
class Loop:
    """What happens around the train steps."""

    log_every: int = option(50, "Steps between scalars in TensorBoard and metrics.jsonl.", minimum=1, may_change=True)
    sample_every: int = option(250, "Steps between grids of samples.", minimum=1, may_change=True)
    evaluate_every: int = option(
        1000,
        "Steps between quick evaluations, by which the best checkpoint is kept. 0: none, and the newest is the best.",
        minimum=0,
        may_change=True,
    )
    checkpoint_every: int = option(1000, "Steps between checkpoints.", minimum=1, may_change=True)
    keep_checkpoints: int = option(3, "Newest checkpoints that are kept, besides the best.", minimum=1, may_change=True)
    keep_versions: int = option(3, "Newest exported versions that are kept.", minimum=1, may_change=True)
    steps_per_call: int = option(
        10, "Train steps that run between two returns to Python.", minimum=1, maximum=10_000, may_change=True
    )
    mixed_precision: bool = option(False, "Compute in bfloat16; weights and losses stay in float32.")
    strategy: str = option(
        "none",
        "none: one device. mirrored: all GPUs of this machine. multi_worker: the processes named by `workers`. tpu: "
        "the TPU of this machine.",
        choices=("none", "mirrored", "multi_worker", "tpu"),
        may_change=True,
    )
    workers: str = option(
        "",
        "host:port of each process of `strategy=multi_worker`, by commas; the first writes the run. Default: as "
        "TF_CONFIG or SLURM says.",
        may_change=True,
    )
    worker_index: int = option(-1, "Which of `workers` this process is, from 0.", minimum=-1, may_change=True)
    worker_timeout: float = option(
        60.0,
        "Seconds to wait for the other workers at the start; without a sign of life for so long, one counts as lost.",
        above=0,
        may_change=True,
    )
    worker_secret: str = option(
        "",
        "File with a secret of 16 bytes or more, the same for all workers, without which nobody can join them. "
        "Default: what the variable DCGAN_TF_WORKER_SECRET holds, or none.",
        may_change=True,
        path=True,
    )
    jit_compile: bool = option(False, "Compile the train step with XLA. Worth a try on a GPU, no gain on a CPU.")
