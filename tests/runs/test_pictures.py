import json

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.drawing.grids import save_png
from dcgan_tf.runs.pictures import GIF_FRAMES, save_curves, save_training_gif


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
    records = [{"step": step, **dict.fromkeys(names, float(step))} for step in (1, 2, 3)]
    with open(run.metrics_file, "w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)
        file.write('{"step": 4, "lost/generator": 4.0, "prob/real": NaN, "metric/distance": Infinity}\n')
    save_curves(run)
    with Image.open(run.directory / "curves.png") as picture:
        assert picture.width > 800
        assert len(picture.convert("RGB").getcolors(100_000)) > 20  # More than an empty frame


@pytest.mark.parametrize("damage", ["empty", "cut off", "no picture", "another size", "none readable"])
def test_gif_is_made_without_grids_that_are_damaged_or_foreign(run, damage, caplog):
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
    said = caplog.text
    if damage == "none readable":
        assert "training.gif could not be written" in said
        assert not (run.directory / "training.gif").exists()
        return
    with Image.open(run.directory / "training.gif") as gif:
        assert gif.n_frames == 3
    assert (f"training.gif is made without '{paths[1]}'" in said) == (damage != "another size")
