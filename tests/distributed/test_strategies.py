"""Runs on several replicas: they equal a run on one, or are refused; their workers are found and compared."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from dcgan_tf.config.making import make_config
from dcgan_tf.config.presets import PRESETS
from dcgan_tf.config.settings import Config
from dcgan_tf.data.batches import make_batches, places_of
from dcgan_tf.data.prepare import prepare
from dcgan_tf.distributed import strategies
from dcgan_tf.distributed.workers import Workers
from dcgan_tf.errors import UserError
from dcgan_tf.runs import run_directory
from dcgan_tf.serving import saved_model
from dcgan_tf.training import loop
from tests.conftest import ROOT
from tests.training.outcomes import checkpoint_values, end_quickly

# Together, these cover every kind of noise, statistics over the batch, and sums over it.
CASES = {
    "statistics": {
        "dropout": 0.3,
        "pack": 2,
        "joint_batch": True,
        "diff_augment": "translation,color,cutout",
        "instance_noise": 0.1,
        "label_noise": 0.2,
        "label_flip": 0.1,
        "minibatch_stddev": True,
        "channels": "3",
    },
    "penalty": {
        "architecture": "mlp",
        "generator_filters": "16",
        "discriminator_filters": "16",
        "loss": "relativistic_average",
        "penalty": "dragan",
        "penalty_every": 2,
        "discriminator_steps": 2,
        "dropout": 0.2,
        "conditional": True,
        "class_names": ["a", "b", "c"],
    },
}
LONG_CASES = {
    "pairs": {
        "loss": "relativistic_pairing",
        "penalty": "r1_r2",
        "penalty_every": 2,
        "discriminator_norm": "none",
        "dropout": 0.2,
    },
    "penalized batch": {"penalty": "r1", "penalty_every": 2, "dropout": 0.2},
    "adaptive": {"augment": "ada", "channels": "3", "pack": 2, "discriminator_steps": 2},
}
# Two runs whose sums are rounded differently drift apart by 1e-5 of the distance trained, or more where a unit is
# switched on in only one of them. If a replica used a sum, a statistic or a random number of its own, the distance
# would be 0.1 or more.
RELATIVE = 1e-2


def tf_config(cluster, kind, index):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def compare_replicas(cases):
    """Trains each case on one and on two replicas; returns the distances by the case's name."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.distributed.two_replicas", json.dumps(cases)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return {line.pop("name"): line for line in lines}


def assert_equal_replicas(distances):
    assert distances["compared"] > 10
    assert distances["copies"] == 0
    assert distances["weights"][0] < RELATIVE, distances
    assert distances["moments"][0] < 10 * RELATIVE, distances
    assert distances["metrics"] < RELATIVE, distances


def test_two_replicas_equal_one_over_20_steps():
    results = compare_replicas({"batch_norm": {}, **CASES})
    assert max(results.pop("batch_norm").values()) < 5e-3  # Around 10,000, float32 has three decimals.
    assert results.keys() == CASES.keys()
    for distances in results.values():
        assert_equal_replicas(distances)


@pytest.mark.long
def test_two_replicas_equal_one_with_every_kind_of_penalty_and_adaptive_augmentation():
    results = compare_replicas(LONG_CASES)
    one, two = results["adaptive"]["probabilities"]
    assert one == two != 0.7
    for distances in results.values():
        assert_equal_replicas(distances)


@pytest.mark.measurement
def test_every_preset_is_the_same_on_two_replicas():
    """Uses the presets' own settings except for the widths, and for the data, of which only the shape matters."""
    small = {"generator_filters": "8", "discriminator_filters": "8", "batch_size": 8}
    data = {"dataset": "mnist", "image_size": "16", "channels": "1", "crop_size": 0, "epochs": 0.0}
    cases = {name: {**values, **small, **data} for name, values in PRESETS.items()}
    different = {json.dumps(case, sort_keys=True): name for name, case in cases.items()}  # The data sets' are one.
    results = compare_replicas({name: cases[name] for name in different.values()})
    assert len(results) >= 9
    for distances in results.values():
        assert_equal_replicas(distances)


@pytest.mark.long
def test_run_on_two_replicas_goes_on_with_one(small_config, tmp_path, monkeypatch, said):
    # Adam moves a weight whose gradient is rounding by up to the rate, so the rates belong to the tolerance below.
    changes = {"dropout": 0.3, "learning_rate_generator": 5e-4, "learning_rate_discriminator": 5e-4}
    two = ["-m", "tests.distributed.two_replicas", f"--run_dir={tmp_path / 'run'}", json.dumps({"steps": 6, **changes})]
    result = subprocess.run([sys.executable, *two], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert ", 2 replicas" in result.stdout
    # Shows whether training has told glibc to get every tensor's memory from the kernel (gan._run): 5,130 if it has.
    assert json.loads(result.stdout.splitlines()[-1])["page_faults"] < 100
    run = run_directory.load_run(tmp_path / "run")
    assert run.config.replicas == 2
    assert saved_model.exported_steps(run.saved_model) == [6]

    end_quickly(monkeypatch)
    loop.train(run_directory.configure(str(run.directory), {"strategy": "none", "steps": 12}), str(run.directory))
    assert "trained on 2 device(s) and continues on 1" in said.text
    loop.train(small_config(**changes), str(tmp_path / "straight"))
    resumed, straight = (checkpoint_values(folder, 12) for folder in (run.directory, tmp_path / "straight"))
    assert resumed.keys() == straight.keys()
    for name in (name for name in straight if "kernel" in name and "enerator/" in name and "optimizer" not in name):
        np.testing.assert_allclose(resumed[name], straight[name], atol=1e-4, err_msg=name)


def test_replicas_read_their_shares_of_the_same_batches(small_config):
    config, data = prepare(small_config(crop="random", flip=True, pack=2, discriminator_steps=2))
    whole = list(make_batches(data, config, 3, 5))
    shares = [list(make_batches(data, config, 3, 5, mine, 4)) for mine in ((0, 1), (2, 3))]
    for step, (images, labels) in enumerate(whole):
        for replica in range(4):
            place = places_of(replica, 4, 32, parts=4)
            share_images, share_labels = shares[replica // 2][2 * step + replica % 2]
            np.testing.assert_array_equal(share_images, images.numpy()[place])
            np.testing.assert_array_equal(share_labels, labels.numpy()[place])
    together = np.sort(np.concatenate([places_of(replica, 4, 32, 4) for replica in range(4)]))
    np.testing.assert_array_equal(together, np.arange(32))
    # One fourth of each of the two updates, and of each of the two images of a pack.
    assert places_of(1, 4, 32, parts=4).tolist() == [2, 3, 10, 11, 18, 19, 26, 27]


@pytest.mark.parametrize(
    ("batch_size", "pack", "nearest"), [(10, 1, 8), (11, 1, 12), (64, 1, None), (10, 2, 8), (2, 1, 4), (16, 2, None)]
)
def test_batch_that_does_not_divide_is_refused_with_the_nearest(small_config, batch_size, pack, nearest):
    class Four:
        num_replicas_in_sync = 4

    config = small_config(batch_size=batch_size, pack=pack)
    if nearest is None:
        assert strategies.settle_replicas(config, Four()).replicas == 4
        return
    with pytest.raises(
        UserError, match=rf"`batch_size`.*Received: {batch_size}. The nearest is `batch_size={nearest}`$"
    ):
        strategies.settle_replicas(config, Four())


@pytest.mark.parametrize(
    ("typed", "environment", "expected"),
    [
        ({"workers": "a:1,b:2", "worker_index": 1}, {}, (("a:1", "b:2"), 1)),
        (
            {},
            {"TF_CONFIG": tf_config({"chief": ["c:1"], "worker": ["a:1", "b:1"]}, "worker", 1)},
            (("c:1", "a:1", "b:1"), 2),
        ),
        ({}, {"TF_CONFIG": tf_config({"worker": ["a:1"]}, "worker", "0")}, (("a:1",), 0)),
        (
            {},
            {
                "SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NODELIST": "node[1-2]",
                "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
            },
            (("node1:8888", "node1:8889", "node2:8888", "node2:8889"), 2),
        ),
    ],
    ids=["flags", "chief", "TF_CONFIG", "slurm"],
)  # fmt: skip
def test_workers_are_found(monkeypatch, typed, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert strategies.find_workers(make_config({"strategy": "multi_worker", **typed})) == expected


@pytest.mark.parametrize(
    ("typed", "tf_config", "message"),
    [
        ({}, "", "no workers are given"),
        ({"workers": "a:1,b:1"}, "", "`workers` needs `worker_index`, from 0 to 1"),
        ({"workers": "a:1,b:1", "worker_index": 2}, "", "`worker_index`: expected 0 to 1, for 2 workers. Received: 2"),
        ({"workers": "a:1,a:1", "worker_index": 0}, "", "is listed twice"),
        ({"workers": "a,b", "worker_index": 0}, "", "expected addresses such as node0:2222"),
        ({}, "{", "TF_CONFIG: expected JSON such as"),
        ({}, '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}', "TF_CONFIG: expected JSON such as"),
        ({}, '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}', "TF_CONFIG: expected 0 to 0"),
    ],
)
def test_workers_that_are_not_named_rightly_are_refused(monkeypatch, typed, tf_config, message):
    monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(UserError, match=message):
        strategies.find_workers(make_config({"strategy": "multi_worker", **typed}))


def test_secret_comes_from_a_file_else_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("DCGAN_TF_WORKER_SECRET", raising=False)
    assert strategies.find_secret(Config()) == b""
    monkeypatch.setenv("DCGAN_TF_WORKER_SECRET", " of the environment ")
    assert strategies.find_secret(Config()) == b"of the environment"
    (tmp_path / "secret").write_bytes(b"sixteen bytes...\n")
    assert strategies.find_secret(Config(worker_secret=str(tmp_path / "secret"))) == b"sixteen bytes..."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "`worker_secret`: cannot read the file '.*secret': No such file"),
        (b"fifteen bytes..\n", "`worker_secret`: expected a secret of 16 to 4096 bytes. Received: 15. Make one with"),
        (b"", "Received: 0"),
        (b"x" * 10_000, "expected a secret of 16 to 4096 bytes"),
    ],
)
def test_secret_that_is_none_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(UserError, match=message):
        strategies.find_secret(Config(worker_secret=str(tmp_path / "secret")))


def test_empty_secret_of_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("DCGAN_TF_WORKER_SECRET", "")
    with pytest.raises(UserError, match="DCGAN_TF_WORKER_SECRET: expected a secret of 16 to 4096 bytes"):
        strategies.find_secret(Config())


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ({"strategy": "mirrored", "jit_compile": True}, "`jit_compile=True` supports a single device only"),
        ({"strategy": "tpu", "upsampling": "bicubic"}, "`strategy=tpu`: XLA has no bicubic"),
        ({"workers": "a:1"}, "`workers` .*`strategy=none`"),
        ({"worker_secret": "file"}, "`worker_secret` .*`strategy=none`"),
        ({"strategy": "mirrored", "worker_index": 0}, "`worker_index` .*`strategy=mirrored`"),
        ({"strategy": "mirored"}, "`strategy`: expected one of: none, mirrored, multi_worker, tpu"),
    ],
)
def test_settings_that_cannot_be_distributed_are_refused(typed, message):
    with pytest.raises(UserError, match=message):
        make_config(typed)


def test_machine_without_a_tpu_is_told_so():
    with (
        pytest.raises(UserError, match="`strategy=tpu`: no TPU is attached"),
        strategies.join(Config(strategy="tpu")),
    ):
        pass


def test_the_difference_between_two_workers_is_named(monkeypatch):
    settings = make_config({"seed": 1, "data_dir": "here"})
    other = make_config({"seed": 2, "data_dir": "there"})
    workers = Workers()
    monkeypatch.setattr(workers, "gather", lambda value: [value, json.loads(json.dumps(vars(other)))])
    with pytest.raises(UserError) as error:
        strategies.refuse_differences(workers, settings, strategies.OF_ONE_WORKER + strategies.OF_THE_DATA)
    assert "different settings: `seed` is 1 on worker 0 and 2 on worker 1. Start" in str(error.value)


def test_one_replica_is_the_default_strategy():
    with strategies.join(Config()) as (workers, strategy):
        assert workers.count == 1
        assert strategy is tf.distribute.get_strategy()


def test_scratch_run_leaves_nothing(small_config):
    with run_directory.scratch_run(small_config()) as run:
        run.save_config()
        assert (run.directory / run_directory.CONFIG_FILE).exists()
    assert not pathlib.Path(run.directory).exists()
