import gc
import json
import pathlib
import re
import urllib.error
import urllib.request

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard import program
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from dcgan_tf.drawing.grids import save_png
from dcgan_tf.models.discriminator import build_discriminator
from dcgan_tf.models.generator import build_generator
from dcgan_tf.runs.pictures import sample_grids, save_curves, save_training_gif
from dcgan_tf.runs.records import QUICK_METRIC, read_metrics
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.runs.summaries import TENSORBOARD_FLAGS, Summaries, record_model_card
from dcgan_tf.runs.tags import describe_scalar, tag_of
from dcgan_tf.training.gan import ADAPTIVE_METRICS, METRICS
from dcgan_tf.training.monitor import ADVICE
from tests.conftest import ROOT

IMAGES = np.zeros((4, 16, 16, 1), np.uint8)


@pytest.fixture(scope="module")
def networks():
    return build_generator(16, 16, 1, latent_dim=8, filters=4), build_discriminator(16, 16, 1, filters=4)


def test_tensorboard_holds_scalars_images_histograms_graphs_and_settings(run, networks):
    with Summaries(run, first_step=0) as summaries:
        summaries.start(networks, IMAGES)
        summaries.samples(0, networks, IMAGES)
        summaries.scalars(5, {"loss/generator": 1.5, "prob/real": 0.25, "diagnosis/collapse": 1.0})
    events = EventAccumulator(str(run.tensorboard), size_guidance={"tensors": 0}).Reload()
    tags = events.Tags()["tensors"]
    assert {"loss/generator", "prob/real", "monitor/collapse", "samples/fixed_z", "samples/real", "settings"} <= set(
        tags
    )
    assert "weights/generator/project/kernel" in tags
    assert "weights/discriminator/logits/bias" in tags
    assert events.summary_metadata["samples/fixed_z"].plugin_data.plugin_name == "images"
    assert [tag for tag in tags if not events.summary_metadata[tag].summary_description and "hparams" not in tag] == []
    (record,) = read_metrics(run.metrics_file)
    assert record == {"step": 5, "loss/generator": 1.5, "prob/real": 0.25, "diagnosis/collapse": 1.0}


def test_a_run_is_one_run_with_one_graph_of_both_networks(run, networks):
    with Summaries(run, first_step=0) as summaries:
        summaries.start(networks, IMAGES)
    assert all(path.is_file() for path in run.tensorboard.iterdir())
    graph = EventAccumulator(str(run.tensorboard)).Reload().Graph()
    assert {"generator", "discriminator"} <= {node.name.partition("/")[0] for node in graph.node}


def test_hyperparameters_are_those_by_which_runs_differ(small_config, networks, tmp_path):
    run = Run(tmp_path / "smooth", small_config(label_smoothing=0.1, data_dir="/photos"))
    with Summaries(run, first_step=0) as summaries:
        summaries.start(networks, IMAGES)
    events = EventAccumulator(str(run.tensorboard)).Reload()
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    session = HParamsPluginData.FromString(content).session_start_info
    assert session.group_name == "smooth"
    assert session.hparams["label_smoothing"].number_value == 0.1
    assert session.hparams["seed"].number_value == 0
    assert not {"beta_1", "data_dir", "steps"} & set(session.hparams)


def test_settings_are_text_with_those_that_differ_first(run, networks):
    with Summaries(run, first_step=0) as summaries:
        summaries.start(networks, IMAGES)
    (event,) = EventAccumulator(str(run.tensorboard)).Reload().Tensors("settings")
    text = event.tensor_proto.string_val[0].decode()
    assert text.startswith("Different from the defaults: `split=train[:256]`")
    assert "| beta_1 | 0.5 |" in text


def test_model_card_is_shown_without_its_header(run, tmp_path):
    card = tmp_path / "MODEL_CARD.md"
    card.write_text("---\nlicense: mit\n---\n# A generator\n\n---\nend\n")
    record_model_card(run, 5, card)
    (event,) = EventAccumulator(str(run.tensorboard)).Reload().Tensors("model_card")
    assert event.step == 5
    assert event.tensor_proto.string_val[0].decode() == "# A generator\n\n---\nend\n"


def test_model_card_that_is_missing_stops_nothing(run, tmp_path, caplog):
    record_model_card(run, 5, tmp_path / "gone.md")
    assert "TensorBoard's event file could not be written" in caplog.text


SCALARS = {*METRICS, *ADAPTIVE_METRICS, "loss/penalty", QUICK_METRIC, "perf/steps_per_sec", "perf/images_per_sec"}
SCALARS |= {"weight_norm/generator", *(f"diagnosis/{name.replace(' ', '_')}" for name in ADVICE)}
SIGNS = ("diversity", "repeats", "group_distance", "realism", "probability_gap", "discriminator_loss_share")
SCALARS |= {f"diagnosis/{name}" for name in SIGNS}


def test_losses_and_evaluations_come_first():
    """TensorBoard sorts groups by name and opens the first two."""
    tags = {tag_of(name) for name in SCALARS}
    groups = sorted({tag.partition("/")[0] for tag in tags} | {"samples", "weights"})
    assert groups[:2] == ["loss", "metric"]
    assert len(tags) == len(SCALARS)


def test_every_scalar_of_a_training_is_described():
    assert [name for name in SCALARS if describe_scalar(name) == f"{name} in metrics.jsonl"] == []


def test_histograms_are_those_of_tensorflow(run, networks, tmp_path):
    kernel = networks[0].trainable_variables[0]
    with Summaries(run, first_step=0) as summaries:
        summaries.samples(0, networks, IMAGES)
    with tf.summary.create_file_writer(str(tmp_path / "theirs")).as_default(0):
        tf.summary.histogram(f"weights/generator/{kernel.path}", kernel.value)
    ours, theirs = (
        tf.make_ndarray(
            EventAccumulator(str(folder)).Reload().Tensors(f"weights/generator/{kernel.path}")[0].tensor_proto
        )
        for folder in (run.tensorboard, tmp_path / "theirs")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)
    assert ours[:, 2].sum() == kernel.shape.num_elements()


def test_histograms_of_weights_that_are_not_finite(run, networks):
    """The training stops at such weights; recording its last samples must not fail first."""
    bias = next(variable for variable in networks[1].trainable_variables if variable.path.endswith("logits/bias"))
    before = bias.numpy()
    bias.assign([np.nan])
    try:
        with Summaries(run, first_step=0) as summaries:
            summaries.samples(0, networks, IMAGES)
    finally:
        bias.assign(before)
    (event,) = EventAccumulator(str(run.tensorboard)).Reload().Tensors("weights/discriminator/logits/bias")
    assert tf.make_ndarray(event.tensor_proto)[:, 2].sum() == 0


def test_histograms_take_little_memory(run):
    """TensorFlow's own take 240 bytes per value: 800 MB for one kernel of the default networks at 64 pixels."""
    network = keras.Sequential([keras.Input([1000]), keras.layers.Dense(2000)])
    status = pathlib.Path("/proc/self/status")

    def memory(name: str) -> int:
        return int(re.search(rf"{name}:\s+(\d+) kB", status.read_text())[1]) * 1024

    with Summaries(run, first_step=0) as summaries:
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # Forgets the peak.
        before = memory("VmRSS")
        summaries.samples(0, [network], IMAGES)
        assert memory("VmHWM") - before < 100 * 2**20


def test_resuming_drops_what_came_after_the_checkpoint(run):
    with Summaries(run, first_step=0) as summaries:
        for step in (5, 10, 15):
            summaries.scalars(step, {"loss/generator": float(step)})
            save_png(np.zeros((8, 8, 1), np.uint8), run.samples / f"step-{step:08d}.png")
    with open(run.metrics_file, "a") as file:
        file.write('{"step": 20, "loss/gen')  # Cut off by a kill
    with Summaries(run, first_step=10) as summaries:
        summaries.scalars(15, {"loss/generator": 0.5})
    assert [(r["step"], r["loss/generator"]) for r in read_metrics(run.metrics_file)] == [(5, 5), (10, 10), (15, 0.5)]
    assert all(json.loads(line) for line in run.metrics_file.read_text().splitlines())
    assert [path.name for path in sample_grids(run)] == ["step-00000005.png", "step-00000010.png"]


def test_stray_files_among_the_grids_are_left_alone(run, networks):
    run.samples.mkdir()
    (run.samples / "step-00000099.png").mkdir()
    for name in ("step-final.png", "step-00000007.png.bak", ".step-00000008.png.tmp", "notes.txt", "step-00000009.jpg"):
        (run.samples / name).write_text("mine")
    before = set(run.samples.iterdir())
    with Summaries(run, first_step=0) as summaries:
        summaries.samples(5, networks, IMAGES)
    assert set(run.samples.iterdir()) == {*before, run.samples / "step-00000005.png"}
    assert sample_grids(run) == [run.samples / "step-00000005.png"]


def test_what_only_shows_the_training_does_not_stop_it(run, networks, caplog):
    """Files in the place of folders do not stop it, nor do folders in the place of files."""
    run.samples.write_text("a file")
    run.tensorboard.write_text("a file")
    (run.directory / "curves.png").mkdir()
    (run.directory / "training.gif").mkdir()
    with Summaries(run, first_step=0) as summaries:
        summaries.start(networks, IMAGES)
        for step in (1, 2):
            summaries.samples(step, networks, IMAGES)
            summaries.scalars(step, {"loss/generator": 1.5})
    save_curves(run)
    save_training_gif(run, 2)
    assert [record["step"] for record in read_metrics(run.metrics_file)] == [1, 2]
    said = caplog.text
    assert said.count("TensorBoard's event file could not be written") == 1, said
    for name in ("curves.png", "training.gif", str(run.samples)):
        assert f"{name} could not be written" in said.replace("'", ""), said


def test_tensorboard_serves_every_picture_of_a_run(run):
    """Asks TensorBoard's own server, which shows 10 by default, and none with images=0."""
    writer = tf.summary.create_file_writer(str(run.tensorboard))
    with writer.as_default():
        for step in range(25):
            tf.summary.image("samples/fixed_z", np.zeros((1, 8, 8, 1), np.uint8), step=np.int64(step))
    writer.close()
    server = program.TensorBoard()
    loaded_before_it_serves = ["--reload_task=blocking", "--reload_interval=0", "--load_fast=false"]
    server.configure(
        argv=["", f"--logdir={run.tensorboard}", "--port=0", *loaded_before_it_serves, *TENSORBOARD_FLAGS.split()]
    )
    images = f"{server.launch()}data/plugin/images"
    without_proxies = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    served = json.load(without_proxies.open(f"{images}/images?run=.&tag=samples/fixed_z&sample=0", timeout=300))
    assert [each["step"] for each in served] == list(range(25))
    assert f"tensorboard --logdir=runs {TENSORBOARD_FLAGS}`" in (ROOT / "README.md").read_text()


def test_records_leave_no_number_in_memory(run, networks):
    """TensorFlow keeps every Python number that it turns into a tensor."""
    alive = 0

    class Counted:
        def __init__(self, *_):
            nonlocal alive
            alive += 1

        def __del__(self):
            nonlocal alive
            alive -= 1

    class Number(Counted, float): ...

    class Step(Counted, int): ...

    with Summaries(run, first_step=0) as summaries:
        for step in range(1000, 1020):
            summaries.scalars(Step(step), {"loss/generator": Number(step / 7), "prob/real": Number(step / 9)})
        summaries.samples(Step(step), networks, IMAGES)
    gc.collect()
    assert alive == 0
    assert len(read_metrics(run.metrics_file)) == 20
