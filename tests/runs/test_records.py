import json
import os

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dcgan_tf.drawing.grids import save_png
from dcgan_tf.runs.records import GIF_FRAMES, Summaries, read_metrics, sample_grids, save_curves, save_training_gif
from dcgan_tf.runs.run_directory import Run
from dcgan_tf.training.gan import GAN


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
    save_curves(run)
    with Image.open(run.directory / "curves.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("RGB").getcolors(100_000)) > 20  # More than an empty frame
