import gc
import json
import os
import time
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard import program
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dcgan_tf.drawing.grids import save_png
from dcgan_tf.runs.records import (
    GIF_FRAMES,
    TENSORBOARD_FLAGS,
    Means,
    Summaries,
    metrics_at,
    read_metrics,
    sample_grids,
    save_curves,
    save_training_gif,
)
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.training.gan import GAN, METRICS
from tests.conftest import ROOT


@pytest.fixture
def run(small_config, tmp_path):
    return Run(tmp_path, small_config(data_dir=os.fsdecode(b"/ph\xfftos")))  # A path need not be text.


def test_tensorboard_holds_scalars_images_histograms_graphs_and_settings(run):
    gan = GAN(run.config)
    with Summaries(run, first_step=0) as summaries:
        summaries.start(gan, np.zeros((4, 16, 16, 1), np.uint8))
        summaries.samples(0, gan, np.zeros((4, 16, 16, 1), np.uint8))
        summaries.scalars(5, {"loss/generator": 1.5, "prob/real": 0.25})
    events = EventAccumulator(str(run.tensorboard), size_guidance={"tensors": 0}).Reload()
    tags = events.Tags()["tensors"]
    assert {"loss/generator", "prob/real", "samples/fixed_z", "samples/real", "configuration"} <= set(tags)
    assert "weights/generator/project/kernel" in tags
    assert "weights/discriminator/logits/bias" in tags
    assert events.summary_metadata["samples/fixed_z"].plugin_data.plugin_name == "images"
    assert any("hparams" in tag for tag in tags)
    for network in ("generator", "discriminator"):
        assert EventAccumulator(str(run.tensorboard / network)).Reload().Tags()["graph"]
    (record,) = read_metrics(run.metrics_file)
    assert record == {"step": 5, "loss/generator": 1.5, "prob/real": 0.25}


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


def test_gif_of_a_long_run_stays_short_and_ends_with_the_last_grid(run):
    run.samples.mkdir()
    for step in range(100):
        save_png(np.full((20, 120, 1), step, np.uint8), run.samples / f"step-{step:08d}.png")
    save_training_gif(run)
    with Image.open(run.directory / "training.gif") as gif:
        assert gif.n_frames == GIF_FRAMES
        assert gif.convert("L").getpixel((5, 5)) == 0
        gif.seek(GIF_FRAMES - 1)
        assert gif.convert("L").getpixel((5, 5)) == 99


def test_curves_are_drawn(run):
    names = [f"loss/{name}" for name in ("discriminator", "discriminator_real", "discriminator_fake", "generator")]
    names += ["prob/real", "prob/fake", "gradient_norm/discriminator", "gradient_norm/generator"]
    with Summaries(run, first_step=0) as summaries:
        for step in (1, 2, 3):
            summaries.scalars(step, dict.fromkeys(names, float(step)))
    with open(run.metrics_file, "a") as file:
        file.write('{"step": 4, "lost/generator": 4.0, "prob/real": NaN, "metric/distance": Infinity}\n')
    save_curves(run)
    with Image.open(run.directory / "curves.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("RGB").getcolors(100_000)) > 20  # More than an empty frame


def test_means_are_those_of_all_steps_in_whatever_calls():
    steps = np.random.default_rng(0).random((50, 2))
    means = Means({})
    for calls in ([50], [10] * 5, [7, 1, 30, 12]):
        for call in np.split(steps, np.cumsum(calls)[:-1]):
            means.add(dict(zip(("a", "b"), call.mean(0), strict=True)), len(call))
        assert means.take() == pytest.approx({"a": steps[:, 0].mean(), "b": steps[:, 1].mean()})
        assert means.sums == {}


def test_means_go_on_from_what_a_checkpoint_holds():
    means = Means({})
    means.add({"a": 1 / 3}, 7)
    resumed = Means(json.loads(json.dumps(means.sums)))
    for each in (means, resumed):
        each.add({"a": 0.7}, 3)
    assert resumed.take() == means.take() == pytest.approx({"a": (7 / 3 + 2.1) / 10})


DAMAGED_LINES = [
    b"5", b"null", b"true", b'"text"', b"[1, 2]", b"{}", b"", b'{"step": 3', b'{"step": "3", "a": 1}',
    b'{"step": 3.0, "a": 1}', b'{"step": true, "a": 1}', b'{"step": -3}', b'{"step": 99999999999999999999}',
    b'{"step": 3, "a": "1"}', b'{"step": 3, "a": null}', b'{"step": 3, "a": [1]}', b'{"step": 3, "a": {}}',
    b'{"step": 3, "a": 1' + b"0" * 400 + b"}", b'{"step": 3, "a": ' + b"[" * 100_000 + b"}", b"\xff\xfe\x00\x80",
    b'{"step": 3, "\xe9": 1}',
]  # fmt: skip


@pytest.mark.parametrize("damaged", DAMAGED_LINES, ids=lambda line: str(line[:24]))
def test_a_damaged_line_is_named_and_left_out(run, damaged, capsys):
    whole = [b'{"step": 2, "a": 0.5}', b'{"step": 4, "a": NaN}', b'{"step": 6, "a": 1e999}']
    run.metrics_file.write_bytes(b"\n".join([whole[0], damaged, *whole[1:], b'{"step": 8, "a']))
    for _ in range(2):
        assert [record["step"] for record in read_metrics(run.metrics_file)] == [2, 4, 6]
    said = capsys.readouterr().err.splitlines()
    assert said == [f"'{run.metrics_file}' is damaged and read without 1 of its lines: 2"]
    assert metrics_at(run, 3) == {}
    with Summaries(run, first_step=4) as summaries:
        summaries.scalars(10, {"a": 2.0})
    assert [json.loads(line)["step"] for line in run.metrics_file.read_bytes().splitlines()] == [2, 4, 10]


def test_stray_files_among_the_grids_are_left_alone(run):
    run.samples.mkdir()
    (run.samples / "step-00000099.png").mkdir()
    for name in ("step-final.png", "step-00000007.png.bak", ".step-00000008.png.tmp", "notes.txt", "step-00000009.jpg"):
        (run.samples / name).write_text("mine")
    before = set(run.samples.iterdir())
    with Summaries(run, first_step=0) as summaries:
        summaries.samples(5, GAN(run.config), np.zeros((4, 16, 16, 1), np.uint8))
    assert set(run.samples.iterdir()) == {*before, run.samples / "step-00000005.png"}
    save_training_gif(run)
    with Image.open(run.directory / "training.gif") as gif:
        assert gif.n_frames == 1


@pytest.mark.parametrize("damage", ["empty", "cut off", "no picture", "another size", "none readable"])
def test_gif_is_made_without_grids_that_are_damaged_or_foreign(run, damage, capsys):
    run.samples.mkdir()
    paths = [run.samples / f"step-{step:08d}.png" for step in range(4)]
    for step, path in enumerate(paths):
        save_png(np.full((20, 120, 1), 60 * step, np.uint8), path)
    if damage == "another size":
        save_png(np.zeros((300, 10, 3), np.uint8), paths[1])
    for path in paths if damage == "none readable" else paths[1:2]:
        whole = path.read_bytes()
        content = {"empty": b"", "cut off": whole[: len(whole) // 2], "another size": whole}.get(damage, b"text" * 99)
        path.write_bytes(content)
    save_training_gif(run)
    said = capsys.readouterr().err
    if damage == "none readable":
        assert "training.gif could not be written" in said
        assert not (run.directory / "training.gif").exists()
        return
    with Image.open(run.directory / "training.gif") as gif:
        assert gif.n_frames == 3
    assert (f"training.gif is made without '{paths[1]}'" in said) == (damage != "another size")


def test_what_only_shows_the_training_does_not_stop_it(run, capsys):
    """Neither files in the place of folders, nor folders in the place of files."""
    run.samples.write_text("a file")
    run.tensorboard.write_text("a file")
    (run.directory / "curves.png").mkdir()
    (run.directory / "training.gif").mkdir()
    gan, images = GAN(run.config), np.zeros((4, 16, 16, 1), np.uint8)
    with Summaries(run, first_step=0) as summaries:
        summaries.start(gan, images)
        for step in (1, 2):
            summaries.samples(step, gan, images)
            summaries.scalars(step, {"loss/generator": 1.5})
    save_curves(run)
    save_training_gif(run)
    assert [record["step"] for record in read_metrics(run.metrics_file)] == [1, 2]
    said = capsys.readouterr().err
    assert said.count("TensorBoard's event file could not be written") == 1, said
    for name in ("curves.png", "training.gif", str(run.samples)):
        assert f"{name} could not be written" in said.replace("'", ""), said


def test_tensorboard_serves_every_picture_of_a_run(run):
    """By TensorBoard's own server. It would choose 10, and shows none with images=0."""
    writer = tf.summary.create_file_writer(str(run.tensorboard))
    with writer.as_default():
        for step in range(25):
            tf.summary.image("samples/fixed_z", np.zeros((1, 8, 8, 1), np.uint8), step=np.int64(step))
    writer.close()
    server = program.TensorBoard()
    server.configure(
        argv=["", f"--logdir={run.tensorboard}", "--port=0", "--load_fast=false", *TENSORBOARD_FLAGS.split()]
    )
    images = f"{server.launch()}data/plugin/images"
    deadline = time.monotonic() + 60
    while not json.load(urllib.request.urlopen(f"{images}/tags", timeout=60)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    served = json.load(urllib.request.urlopen(f"{images}/images?run=.&tag=samples/fixed_z&sample=0", timeout=60))
    assert [each["step"] for each in served] == list(range(25))
    assert f"tensorboard --logdir=runs {TENSORBOARD_FLAGS}`" in (ROOT / "README.md").read_text()


def test_records_leave_no_number_in_memory(run):
    """TensorFlow keeps every Python number that it makes a tensor of."""
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

    gan, images = GAN(run.config), np.zeros((4, 16, 16, 1), np.uint8)
    with Summaries(run, first_step=0) as summaries:
        for step in range(1000, 1020):
            summaries.scalars(Step(step), {name: Number(step / 7) for name in METRICS})
        summaries.samples(Step(step), gan, images)
    gc.collect()
    assert alive == 0
    assert len(read_metrics(run.metrics_file)) == 20
