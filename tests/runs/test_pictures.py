import json
import math

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.drawing.curves import make_curves, smooth
from dcgan_tf.drawing.grids import save_png
from dcgan_tf.runs.pictures import FINAL_GRID, GIF_FRAMES, read_curves, save_curves, save_training_gif
from dcgan_tf.runs.records import QUICK_METRIC


def read_frames(path):
    """The gray level, the caption as pixels, and the milliseconds of each frame."""
    with Image.open(path) as gif:
        frames = []
        for number in range(gif.n_frames):
            gif.seek(number)
            pixels = np.asarray(gif.convert("L"))
            frames.append((pixels[5, 5], pixels[20:], gif.info["duration"]))
    return frames


def save_grids(run, count):
    """Grids whose gray level is their step, and a final grid that is lighter than all."""
    run.samples.mkdir()
    for step in range(count):
        save_png(np.full((20, 120, 1), step, np.uint8), run.samples / f"step-{step:08d}.png")
    save_png(np.full((20, 120, 1), 250, np.uint8), run.directory / FINAL_GRID)


def test_gif_of_a_long_run_stays_short_and_holds_the_exported_step(run):
    save_grids(run, 100)
    save_training_gif(run, 75)
    frames = read_frames(run.directory / "training.gif")
    assert len(frames) == GIF_FRAMES
    assert [frames[number][0] for number in (0, -2, -1)] == [0, 74, 250]
    assert frames[-1][2] >= 10 * frames[-2][2]
    # The step of the last frame is that of the export, not of the end.
    save_training_gif(run, 74)
    assert (read_frames(run.directory / "training.gif")[-1][1] != frames[-1][1]).any()


@pytest.mark.parametrize("exported", [0, 1, 3])
def test_gif_of_a_short_run_has_each_grid_once(run, exported):
    save_grids(run, 5)
    save_training_gif(run, exported)
    assert [frame[0] for frame in read_frames(run.directory / "training.gif")] == [*range(exported), 250]


NAMES = ["loss/discriminator", "loss/generator", "prob/real", "prob/fake", "diagnosis/diversity"]
NAMES += ["gradient_norm/discriminator", "gradient_norm/generator"]


def write_records(run, records):
    with open(run.metrics_file, "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
        file.write('{"step": 4, "lost/generator": 4.0, "prob/real": NaN, "metric/distance": Infinity}\n')


def test_curves_are_drawn_two_by_two(run):
    write_records(run, [{"step": step, **dict.fromkeys(NAMES, float(step))} for step in (1, 2, 3)])
    save_curves(run)
    with Image.open(run.directory / "curves.png") as picture:
        assert picture.width > picture.height > 700
        assert picture.info["Software"] == "dcgan_tf"  # Not used as data
        for quarter in np.array_split(np.asarray(picture.convert("RGB")), 2):
            for part in np.array_split(quarter, 2, axis=1):
                assert len(np.unique(part.reshape(-1, 3), axis=0)) > 20  # More than an empty frame


def test_curves_hold_the_chance_levels_and_the_best_step(run):
    distances = {1: 5.0, 2: 1.5, 3: 2.0}
    records = [{"step": step, **dict.fromkeys(NAMES, 1.0), QUICK_METRIC: distances[step]} for step in (1, 2, 3)]
    write_records(run, records)
    curves = read_curves(run)
    assert (curves.best, curves.batch_size) == (2, run.config.batch_size)
    loss, probability, _, evaluation = curves.panels
    assert loss.unit == "nats"
    assert loss.level[0] == pytest.approx(2 * math.log(2))
    assert probability.level[0] == 0.5
    np.testing.assert_array_equal(probability.lines["real"][:, 0], [1, 2, 3])  # Not step 4, whose value is NaN
    points = evaluation.lines["Frechet distance [random-convolutions]"]
    np.testing.assert_array_equal(points, list(distances.items()))
    assert len({picture for _, picture in curves.pictures()}) == 4


def test_curves_without_evaluations_show_the_variety():
    records = [{"step": step, "diagnosis/diversity": 0.5} for step in (1, 2)]
    curves = make_curves(records, batch_size=8, loss_unit="loss", chance_loss=None, best=None)
    assert curves.panels[0].level is None
    assert curves.panels[3].title == "Variety of the samples"
    np.testing.assert_array_equal(curves.panels[3].lines["samples"], [[1, 0.5], [2, 0.5]])


def test_smoothing_is_the_mean_of_the_neighbors():
    values = np.arange(100.0) ** 2
    expected = [values[max(0, i - 2) : i + 3].mean() for i in range(100)]
    np.testing.assert_allclose(smooth(values), expected)
    np.testing.assert_array_equal(smooth(np.array([3.0])), [3.0])


@pytest.mark.parametrize("damage", ["empty", "cut off", "no picture", "another size", "none readable"])
def test_gif_is_made_without_grids_that_are_damaged_or_foreign(run, damage, caplog):
    run.samples.mkdir()
    paths = [*(run.samples / f"step-{step:08d}.png" for step in range(3)), run.directory / FINAL_GRID]
    for step, path in enumerate(paths):
        save_png(np.full((20, 120, 1), 60 * step, np.uint8), path)
    if damage == "another size":
        save_png(np.zeros((300, 10, 3), np.uint8), paths[1])
    for path in paths if damage == "none readable" else paths[1:2]:
        whole = path.read_bytes()
        content = {"empty": b"", "cut off": whole[: len(whole) // 2], "another size": whole}.get(damage, b"text" * 99)
        path.write_bytes(content)
    save_training_gif(run, 3)
    said = caplog.text
    if damage == "none readable":
        assert "training.gif could not be written" in said
        assert not (run.directory / "training.gif").exists()
        return
    with Image.open(run.directory / "training.gif") as gif:
        assert gif.n_frames == 3
    assert (f"training.gif is made without '{paths[1]}'" in said) == (damage != "another size")
