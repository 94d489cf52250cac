"""Settings of the training loop: intervals, what is kept, and devices."""

import dataclasses

from dcgan_tf.config.sections.option import Switch, option


@dataclasses.dataclass(frozen=True)
class Loop:
    """Settings of the training loop: intervals, what is kept, and devices."""

    log_every: int = option(
        50, "Steps between log records in TensorBoard and metrics.jsonl.", minimum=1, may_change=True
    )
    sample_every: int = option(250, "Steps between sample grids.", minimum=1, may_change=True)
    evaluate_every: int = option(
        1000,
        "Steps between quick evaluations, which determine the best checkpoint. 0: none; the newest counts as the best.",
        minimum=0,
        may_change=True,
    )
    checkpoint_every: int = option(1000, "Steps between checkpoints.", minimum=1, may_change=True)
    keep_checkpoints: int = option(
        3, "Number of most recent checkpoints to keep, in addition to the best.", minimum=1, may_change=True
    )
    keep_versions: int = option(3, "Number of most recent exported versions to keep.", minimum=1, may_change=True)
    steps_per_call: int = option(
        10,
        "Training steps per compiled call (steps_per_execution in Keras).",
        minimum=1,
        maximum=10_000,
        may_change=True,
    )
    mixed_precision: Switch = option(
        "auto",
        "Compute in bfloat16; weights and losses stay in float32. auto: on CPUs with bfloat16 instructions "
        "(AVX512-BF16 or AMX), but not with `unroll_steps`, with a penalty other than r1, or without "
        "convolutions. The run keeps the choice.",
    )
    strategy: str = option(
        "none",
        "Devices to train on. none: one device. mirrored: all GPUs of this machine. multi_worker: the processes in "
        "`workers`. tpu: the TPU of this machine.",
        choices=("none", "mirrored", "multi_worker", "tpu"),
        may_change=True,
    )
    workers: str = option(
        "",
        "Addresses (host:port) of the processes of `strategy=multi_worker`, separated by commas. The first process "
        "writes the run. Default: taken from TF_CONFIG or SLURM.",
        may_change=True,
    )
    worker_index: int = option(
        -1, "Position of this process in `workers`, counted from 0.", minimum=-1, may_change=True
    )
    worker_timeout: float = option(
        60.0,
        "Seconds to wait for the other workers at the start. Later, a worker that is silent for this long is "
        "considered lost.",
        above=0,
        may_change=True,
    )
    worker_secret: str = option(
        "",
        "File with a secret of 16 bytes or more, the same for all workers. Processes without the secret cannot join. "
        "Default: the value of the environment variable DCGAN_TF_WORKER_SECRET, or no secret.",
        may_change=True,
        path=True,
    )
    jit_compile: bool = option(False, "Compile the train step with XLA. Worth trying on a GPU; no gain on a CPU.")
