import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dcgan_tf.benchmarking import machine, measure
from dcgan_tf.benchmarking.breakdown import AROUND, LAZY, PARTS, run_until
from dcgan_tf.benchmarking.measure import Options, run_benchmark
from dcgan_tf.benchmarking.report import format_report, write_json
from dcgan_tf.benchmarking.timing import measure_by_turns
from dcgan_tf.benchmarking.workload import make_synthetic_data, open_workload
from dcgan_tf.data.batches import make_batches
from dcgan_tf.models import costs
from dcgan_tf.training.gan import GAN
from tests.conftest import one_line

KEYS = {
    "train_step_ms", "images_per_second", "one_step_per_call_ms", "bare_step_ms", "around_the_bare_step_share",
    "input_images_per_second", "sampling_images_per_second", "train_step_flops_per_second", "matmul_flops_per_second",
    "share_of_matmul_rate", "flops_per_step", "peak_memory_bytes", "time_to_first_step_seconds",
}  # fmt: skip


@pytest.fixture
def small_matrix(monkeypatch):
    monkeypatch.setattr(machine, "MATRIX_SIZE_CPU", 64)


def test_figures_agree_with_each_other(small_config, small_matrix, tmp_path):
    # Fully connected networks, which are traced in a third of the time
    networks = {"architecture": "mlp", "generator_filters": "4", "discriminator_filters": "4"}
    config = small_config(steps_per_call=3, penalty="r1", penalty_every=2, **networks)
    options = Options(
        repeats=3, seconds=0.01, variants=("mixed_precision",), breakdown=True, profile=str(tmp_path / "trace")
    )
    benchmark = run_benchmark(config, options)
    figures = benchmark.figures
    assert set(figures) == KEYS
    assert all(np.isfinite(value) for value in figures.values())
    assert figures["images_per_second"] == pytest.approx(1000 * config.batch_size / figures["train_step_ms"])
    assert figures["train_step_flops_per_second"] == pytest.approx(
        1000 * figures["flops_per_step"] / figures["train_step_ms"]
    )
    gan = GAN(benchmark.config)
    assert figures["flops_per_step"] == costs.step_flops(gan.generator, gan.discriminator, gan.config)
    assert 50 * 2**20 < figures["peak_memory_bytes"] < 2**40
    assert figures["time_to_first_step_seconds"] > 0
    assert all(len(values) == 3 for values in benchmark.rounds.values())
    assert benchmark.protocol["data"] == "synthetic"
    assert set(benchmark.variants) == {"mixed_precision"}
    assert tuple(benchmark.breakdown) == (*PARTS, LAZY, AROUND)
    assert list((tmp_path / "trace").rglob("*.xplane.pb"))

    write_json(benchmark, tmp_path / "figures.json")
    saved = json.loads((tmp_path / "figures.json").read_text())
    assert saved.keys() >= KEYS
    low, high = saved["spread"]["train_step_ms"]
    assert low <= saved["train_step_ms"] <= high
    assert saved["config"]["batch_size"] == config.batch_size

    text = format_report(benchmark)
    assert f"{figures['images_per_second']:,.0f}" in text
    assert "With `mixed_precision=True`" in text
    assert "generator's loss, backward" in text


def test_share_is_of_the_rate_that_was_measured(small_config):
    """Worked out by hand: 6 GFLOP in 3 s are a quarter of 8 GFLOP/s."""
    rounds = measure._rates({"train_step_ms": [3000.0]}, 6 * 10**9, [0.5], 4 * 10**9)
    assert rounds["train_step_flops_per_second"] == [2e9]
    assert rounds["matmul_flops_per_second"] == [8e9]
    assert rounds["share_of_matmul_rate"] == [0.25]


def variables(gan):
    """All variables that training depends on."""
    networks = (gan.generator, gan.discriminator, gan.ema_generator)
    optimizers = (gan.generator_optimizer, gan.discriminator_optimizer)
    return [*(v for n in networks for v in n.weights), *(v for o in optimizers for v in o.variables)]


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.3, "fresh_noise": True},
        {"loss": "wasserstein", "weight_clip": 0.01, "optimizer": "rmsprop"},
        {"unroll_steps": 1, "learning_rate_decay": "linear", "learning_rate_decay_steps": 2},
    ],
    ids=str,
)
def test_parts_together_are_the_train_step(small_config, changes):
    gan, parts = GAN(small_config(**changes)), GAN(small_config(**changes))
    images = tf.constant(np.random.default_rng(0).integers(0, 256, (16, 16, 16, 1), np.uint8))
    labels = tf.zeros(16, tf.int64)
    tf.function(gan.train_step)(images, labels)
    tf.function(lambda: run_until(parts, PARTS[-2], images, labels))()
    for one, other in zip(variables(parts), variables(gan), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6, err_msg=one.path)


def test_a_part_does_not_do_what_comes_after_it(small_config):
    gan = GAN(small_config())
    images, labels = tf.zeros((16, 16, 16, 1), tf.uint8), tf.zeros(16, tf.int64)
    before = gan.discriminator.get_layer("logits").kernel.numpy()
    tf.function(lambda: run_until(gan, "discriminator, backward", images, labels))()
    np.testing.assert_array_equal(gan.discriminator.get_layer("logits").kernel, before)
    tf.function(lambda: run_until(gan, "discriminator, optimizer", images, labels))()
    assert not np.array_equal(gan.discriminator.get_layer("logits").kernel, before)


def test_each_call_is_timed_in_every_round_by_turns():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in ("one", "other")}
    results = measure_by_turns(calls, repeats=2, seconds=1e-9, description="test")
    assert order == ["one", "one", "other", "other"] + ["one", "other"] * 2
    assert all(len(values) == 2 and min(values) >= 0 for values in results.values())


def test_a_result_is_the_mean_of_whole_periods():
    """Otherwise, work that is due in every fourth call would count too often or not at all."""
    calls = []
    measure_by_turns({"call": lambda: calls.append(0)}, repeats=3, seconds=1e-12, description="test", period=4)
    assert len(calls) == 2 + 3 * 4  # Two calls determine the number.


def test_synthetic_data_is_read_like_prepared_data(small_config, tmp_path):
    config = small_config(crop="random", channels="3")
    data = make_synthetic_data(config, tmp_path)
    assert data.images.dtype == np.uint8
    assert data.images.std() > 60
    np.testing.assert_array_equal(data.read(np.array([5, 0])), data.images[[5, 0]])
    images, labels = next(iter(make_batches(data, config, 0, 1)))
    assert images.shape == (16, 16, 16, 3)
    assert labels.shape == (16,)


def test_named_data_set_is_prepared(small_config, tmp_path):
    for number in range(20):
        Image.new("L", (20, 20), number).save(tmp_path / f"{number}.png")
    with open_workload(small_config(dataset="folder", data_dir=str(tmp_path), split="train"), synthetic=False) as (
        config,
        data,
    ):
        assert len(data.images) == 20
        assert config.data_digest == data.digest
    with open_workload(small_config(image_size="auto", channels="auto"), synthetic=True) as (config, data):
        assert config.sample_shape == (28, 28, 1)
        assert data.source == "synthetic"


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("--repeats=0", "--repeats: expected at least 1. Received: 0"),
        ("--seconds=0", "--seconds: expected above 0"),
        ("--compare=speed", "--compare: expected any of jit_compile,mixed_precision. Received: 'speed'"),
        ("--json=/no/such/folder/figures.json", "--json: expected a file in an existing folder"),
        ("--steps=5", "unknown flag --steps"),
        ("--batch_size=1", "--batch_size: expected at least 2"),
        ("--preset=quick", "unknown preset 'quick'"),
    ],
)
def test_bad_flag_is_one_line(cli, flag, expected):
    assert expected in one_line(cli("benchmark", flag))


def test_breakdown_of_several_updates_is_refused(cli):
    result = cli("benchmark", "--preset=wgan_gp", "--breakdown")
    assert "one update of the discriminator. Received: --discriminator_steps=5" in one_line(result)
