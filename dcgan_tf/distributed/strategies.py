"""Runs on several devices: finds the processes and devices, and creates TensorFlow's strategy for them."""

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import threading
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended
from tensorflow.python.eager import context

from dcgan_tf.config.settings import Config
from dcgan_tf.distributed import proxy
from dcgan_tf.distributed.replicas import total
from dcgan_tf.distributed.workers import Workers, split_address
from dcgan_tf.errors import UserError
from dcgan_tf.progress import logger

SLURM_PORT = 8888
SECRET_VARIABLE = "DCGAN_TF_WORKER_SECRET"
SHORTEST_SECRET, MAX_SECRET = 16, 4096
SECONDS_TO_CONNECT = 60.0  # The minimum, because TensorFlow first looks for GPUs and starts its servers.
# Settings that may differ between workers: their index, the folders of their machines, and the rules by which pictures
# were found there. The digest of the pictures is compared instead.
OF_ONE_WORKER = ("worker_index", "worker_secret", "data_dir", "manual_dir", "cache_dir", "data_rules")
# Settings that are unknown until the data is prepared. They are equal if the data is.
OF_THE_DATA = ("image_size", "channels", "class_names", "data_digest", "steps", "replicas")


@contextlib.contextmanager
def join(config: Config) -> Iterator[tuple[Workers, tf.distribute.Strategy]]:
    """Connects to the other workers, if any, and creates the strategy. Must be entered before TensorFlow computes.

    Args:
        config: Settings with the strategy and the workers.

    Raises:
        UserError: No workers are named, one is missing, one has another configuration, or there is no such device.
    """
    if config.strategy != "multi_worker":
        yield Workers(), _make_local_strategy(config)
        return
    addresses, index = find_workers(config)
    with Workers(addresses, index, config.worker_timeout, find_secret(config)) as workers:
        refuse_differences(workers, config, leave_out=OF_ONE_WORKER + OF_THE_DATA)
        yield workers, _connect(workers, config)


def find_workers(config: Config) -> tuple[tuple[str, ...], int]:
    """The addresses of all workers and the index of this one, from the settings, TF_CONFIG or SLURM.

    Raises:
        UserError: The workers are not given anywhere, or not in a valid form.
    """
    if config.workers:
        addresses, index = tuple(config.workers.split(",")), config.worker_index
        if index < 0:
            raise UserError(
                f"`workers` needs `worker_index`, from 0 to {len(addresses) - 1}: the place of this worker in the list"
            )
        source = "`worker_index`"
    elif os.environ.get("TF_CONFIG"):
        addresses, index = _from_tf_config(os.environ["TF_CONFIG"])
        source = "TF_CONFIG"
    elif os.environ.get("SLURM_STEP_NODELIST"):
        addresses, index = _from_slurm()
        source = "SLURM_PROCID"
    else:
        raise UserError(
            "`strategy=multi_worker`: no workers are given. Give `workers=host:port`,... and `worker_index`, set "
            "TF_CONFIG, or start the processes with srun"
        )
    for address in addresses:
        split_address(address)
    if len(set(addresses)) < len(addresses):
        raise UserError(f"`workers`: an address is listed twice. Received: {','.join(addresses)}")
    if index not in range(len(addresses)):
        raise UserError(
            f"{source}: expected 0 to {len(addresses) - 1}, for {len(addresses)} workers. Received: {index}"
        )
    return addresses, index


def find_secret(config: Config) -> bytes:
    """The secret of the workers, from a file or the environment; empty if there is none.

    Raises:
        UserError: The file cannot be read, or the secret is too short or too long.
    """
    if config.worker_secret:
        source, path = "`worker_secret`", pathlib.Path(config.worker_secret).expanduser()
        try:
            with open(path, "rb") as file:
                secret = file.read(2 * MAX_SECRET)
        except OSError as error:
            raise UserError(f"`worker_secret`: cannot read the file '{path}': {error.strerror}") from None
    elif SECRET_VARIABLE in os.environ:
        source, secret = SECRET_VARIABLE, os.fsencode(os.environ[SECRET_VARIABLE])
    else:
        return b""
    secret = secret.strip()
    if not SHORTEST_SECRET <= len(secret) <= MAX_SECRET:
        raise UserError(
            f"{source}: expected a secret of {SHORTEST_SECRET} to {MAX_SECRET} bytes. Received: {len(secret)}. "
            "Make one with: head -c 32 /dev/urandom | base64"
        )
    return secret


def refuse_differences(workers: Workers, config: Config, leave_out: tuple[str, ...] = OF_ONE_WORKER) -> None:
    """Raises UserError on each worker if a setting is not the same on all of them."""
    settings = {name: value for name, value in dataclasses.asdict(config).items() if name not in leave_out}
    first, *others = workers.gather(settings)
    differences = [
        f"`{name}` is {first[name]!r} on worker 0 and {other[name]!r} on worker {index}"
        for index, other in enumerate(others, start=1)
        for name in first
        if other.get(name) != first[name]
    ]
    if differences:
        raise UserError(
            f"the workers have different settings: {'; '.join(differences)}. Start all with the same settings"
        )


def settle_replicas(config: Config, strategy: tf.distribute.Strategy) -> Config:
    """Records the number of replicas, and logs a note if a resumed run had another number.

    Raises:
        UserError: The batch cannot be divided among the replicas.
    """
    replicas = strategy.num_replicas_in_sync
    unit = replicas * config.pack
    if config.batch_size % unit:
        below, above = config.batch_size // unit * unit, -(-config.batch_size // unit) * unit
        nearest = below if below and config.batch_size - below <= above - config.batch_size else above
        packed = f" of {config.pack} packed images" if config.pack > 1 else ""
        raise UserError(
            f"`batch_size` is the global batch size and must be a multiple of {unit} for {replicas} devices"
            f"{packed}. Received: {config.batch_size}. The nearest is `batch_size={nearest}`"
        )
    if config.replicas not in (0, replicas):
        logger.info(
            f"Note: this run was trained on {config.replicas} device(s) and continues on {replicas}. The result is the "
            "same up to rounding, not bit for bit."
        )
    return dataclasses.replace(config, replicas=replicas)


def describe(workers: Workers, strategy: tf.distribute.Strategy) -> str:
    """The number of replicas and workers in words; empty for one device."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return ""
    return f", {replicas} replicas" + (f" on {workers.count} workers" if workers.count > 1 else "")


def _connect(workers: Workers, config: Config) -> tf.distribute.Strategy:
    """Connects the workers and returns TensorFlow's strategy for them.

    Raises:
        UserError: The workers cannot be connected, for example because a port is taken. If TensorFlow waits too long,
            the process ends.
    """
    proxy.reach_directly(sorted({split_address(address)[0] for address in workers.addresses}))
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(workers.addresses)}),
        task_type="worker",
        task_id=workers.index,
        rpc_layer="grpc",
    )
    # TensorFlow's coordination service would wait for an hour, while Python reacts neither to signals nor to the other
    # workers. Its health check has limits of its own, but `worker_timeout` decides when a worker is lost.
    context.context().configure_coordination_service(service_type="")
    CollectiveAllReduceExtended._enable_check_health = False
    seconds = max(config.worker_timeout, SECONDS_TO_CONNECT)
    advice = "Each worker must be able to reach the port of every other one, and no other process may use it"
    problem = f"`workers`: TensorFlow cannot connect {','.join(workers.addresses)}"
    try:
        with workers.time_limit(seconds, f"{problem} within {seconds:g} seconds. {advice}"), _signals_by_default():
            strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
            # The first sum connects the workers.
            tf.function(lambda: strategy.run(lambda: total(tf.zeros([]))), autograph=False)()
            return strategy
    except (tf.errors.OpError, RuntimeError) as error:
        if "NCCL" in str(error):  # NCCL refuses two workers on one GPU.
            advice = "Each worker needs a GPU of its own: start each with CUDA_VISIBLE_DEVICES=0, 1, ..."
        raise UserError(f"{problem} ({str(error).splitlines()[0]}). {advice}") from None


@contextlib.contextmanager
def _signals_by_default() -> Iterator[None]:
    """Lets signals end the process at once, because Python cannot react to them while it waits for TensorFlow."""
    if threading.current_thread() is not threading.main_thread():  # Only the main thread may set handlers.
        yield
        return
    previous = {
        number: signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _make_local_strategy(config: Config) -> tf.distribute.Strategy:
    if config.strategy == "none":
        return tf.distribute.get_strategy()
    if config.strategy == "mirrored":
        return tf.distribute.MirroredStrategy()
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(f"`strategy=tpu`: no TPU is attached to this machine ({str(error).splitlines()[0]})") from None


def _from_tf_config(text: str) -> tuple[tuple[str, ...], int]:
    try:
        content = json.loads(text)
        cluster, task = content["cluster"], content["task"]
        addresses = (*cluster.get("chief", ()), *cluster.get("worker", ()))
        index = int(task["index"]) + (len(cluster.get("chief", ())) if task["type"] == "worker" else 0)
        if task["type"] not in ("chief", "worker") or not addresses:
            raise ValueError(f"a task of the type {task['type']!r} and {len(addresses)} workers")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            'TF_CONFIG: expected JSON such as {"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", '
            f'"index": 0}}}}. Received: {text!r} ({error})'
        ) from None
    return addresses, index


def _from_slurm() -> tuple[tuple[str, ...], int]:
    try:
        # SLURM itself assigns the GPUs (--gpus-per-task). The resolver is used for the addresses only.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=SLURM_PORT, gpus_per_node=2**16, gpus_per_task=1, auto_set_gpu=False
        )
        return tuple(resolver.cluster_spec().as_dict()["worker"]), resolver.task_id
    except (RuntimeError, ValueError) as error:
        raise UserError(f"SLURM: cannot read the job step: {error}") from None
