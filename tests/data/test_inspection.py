import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.config.making import make_config
from dcgan_tf.data.inspection import _near_duplicates, describe, examine, sample_classes
from dcgan_tf.data.pictures import Recipe
from dcgan_tf.data.prepare import prepare, resolve
from dcgan_tf.data.sources import find_source
from dcgan_tf.drawing.grids import make_grid
from dcgan_tf.drawing.panels import draw_classes
from tests.data.test_pictures import bomb


@pytest.fixture
def folder(tmp_path):
    """Two classes with an exact duplicate, a brightened near-duplicate, a truncated file and a pixel bomb."""
    folder = tmp_path / "pets"
    random = np.random.default_rng(0)
    for name in ("cat/0.png", "cat/1.png", "dog/2.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = random.integers(0, 200, (12, 16, 3), np.uint8)
        Image.fromarray(noise).resize((64, 48), Image.Resampling.BICUBIC).save(folder / name)
    with Image.open(folder / "cat/0.png") as first:
        first.save(folder / "dog/same.bmp")
        first.resize((128, 96), Image.Resampling.BICUBIC).point(lambda value: min(255, value + 20)).save(
            folder / "dog/brighter.png"
        )
        first.convert("L").resize((30, 30)).save(folder / "dog/gray.gif")
    bomb(folder / "dog" / "bomb.png")
    (folder / "dog" / "cut.png").write_bytes((folder / "dog" / "2.png").read_bytes()[:400])
    return folder


def report(**typed):
    config = make_config(typed)
    source = find_source(config)
    config = resolve(config, source)
    facts, seconds = examine(source, Recipe.of(config))
    return describe(source, config, facts, seconds), facts


def test_report_on_a_folder(folder):
    text, facts = report(dataset="folder", data_dir=str(folder))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for expected in (
        "folder/pets: 8 images, 2 of which cannot be used",
        "4 48x64", "1 96x128", "1 30x30",
        "5 RGB", "1 P",
        "4 PNG", "1 BMP", "1 GIF",
        "2 cat", "4 dog",
        "cannot be used: 2",
        "exact duplicates: 1", "cat/0.png = dog/same.bmp",
        "look alike: 1", "cat/0.png ~ dog/brighter.png",
    ):  # fmt: skip
        assert any(expected in line for line in lines), expected
    assert "dog/bomb.png: 60000x60000 pixels" in text
    assert "dog/cut.png: truncated" in text
    assert "MB of cache" in text
    assert sum(fact.row is not None for fact in facts) == 6


def test_duplicates_are_told_by_their_colors(tmp_path):
    """Palette indices do not matter, nor does the way in which a file stores its colors."""
    stripes = np.tile(np.arange(16, dtype=np.uint8) // 4, (16, 1))
    palettes = {"first": [9, 9, 9, 90, 0, 0, 0, 90, 0, 0, 0, 90], "other": [0, 0, 90, 0, 90, 0, 90, 0, 0, 9, 9, 9]}
    for name, palette in palettes.items():
        picture = Image.fromarray(stripes)
        picture.putpalette(palette)
        picture.save(tmp_path / f"{name}.png")
        picture.convert("RGB").save(tmp_path / f"{name}-rgb.bmp")
    text, _ = report(dataset="folder", data_dir=str(tmp_path))
    assert "exact duplicates: 2" in text
    assert "first-rgb.bmp = first.png" in text
    assert "other-rgb.bmp = other.png" in text


def test_names_are_reported_without_their_control_characters(tmp_path):
    for name in ("cat\x1b[31m/\x1b[2J.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (16, 16)).save(tmp_path / name)
    text, _ = report(dataset="folder", data_dir=str(tmp_path))
    assert r"1  cat\x1b[31m" in text
    assert r"cat\x1b[31m/\x1b[2J.png = dog/1.png" in text
    assert "\x1b" not in text


def test_report_on_a_tfds_data_set():
    prepare(make_config({"split": "train[:300]"}))
    text, facts = report(split="train[:300]")
    assert "mnist/3.0.1: 300 images, 0 of which cannot be used" in text
    assert "300  28x28" in text
    assert "exact duplicates: none" in text
    assert len(facts) == 300


def test_command_writes_a_contact_sheet_and_nothing_else(cli, folder, tmp_path, monkeypatch):
    before = sorted(path for path in tmp_path.rglob("*"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    typed = ["--dataset=folder", f"--data_dir={folder}"]
    out = tmp_path / "sheet.png"
    result = cli("inspect", *typed, f"--out={out}")
    assert result.returncode == 0, result.stderr
    assert "exact duplicates: 1" in result.stdout
    with Image.open(out) as sheet:
        assert sheet.width > 100
    assert not (tmp_path / "cache" / "dcgan_tf").exists()
    assert sorted(path for path in tmp_path.rglob("*") if "cache" not in path.parts) == sorted([*before, out])


def test_contact_sheet_lies_beside_the_cache(cli, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    cache = tmp_path / "cache"
    result = cli("inspect", "--dataset=folder", f"--data_dir={folder}", f"--cache_dir={cache}")
    assert result.returncode == 0, result.stderr
    (sheet,) = cache.iterdir()
    assert sheet.name.endswith("-contact_sheet.png")
    assert f"Wrote {sheet}" in result.stdout
    assert [path for path in sorted(tmp_path.rglob("*")) if cache not in (path, *path.parents)] == before


def test_contact_sheet_has_a_row_per_class(folder):
    config = make_config({"dataset": "folder", "data_dir": str(folder)})
    source = find_source(config)
    config = resolve(config, source)
    facts, _ = examine(source, Recipe.of(config))
    classes = sample_classes(source, facts)
    assert [(name, len(images)) for name, images in classes] == [("dog: 4", 4), ("cat: 2", 2)]
    height, width, channels = Recipe.of(config).height, Recipe.of(config).width, Recipe.of(config).channels
    assert classes[0][1].shape == (4, height, width, channels)
    sheet = draw_classes(classes)
    first = make_grid(classes[0][1], 4)
    left = sheet.shape[1] - first.shape[1]
    np.testing.assert_array_equal(sheet[16 : 16 + len(first), left:], np.broadcast_to(first, (*first.shape[:2], 3)))
    half = left + first.shape[1] // 2
    assert (sheet[16 + len(first) :, half:] == 255).all()  # There are only two cats, so the other half is blank.
    assert (sheet[:, :left] < 100).any()  # The names


def test_command_on_a_data_set_that_is_not_on_disk(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("inspect", "--dataset=cifar10", f"--data_dir={tmp_path}")
    assert result.returncode == 0, result.stderr
    assert "cifar10/3.0.2 is not prepared yet" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_recompressed_and_resized_photographs_look_alike(real_data, tmp_path):
    """Finds recompressed and resized copies of fifty real photographs, and hardly anything else."""
    folder = tmp_path / "photos"
    folder.mkdir()
    with zipfile.ZipFile(real_data("cifar10_jpeg.zip")) as archive:
        names = sorted(name for name in archive.namelist() if "/test/" in name and name.endswith(".jpg"))[::200]
        for number, name in enumerate(names):
            photograph = Image.open(io.BytesIO(archive.read(name)))
            photograph.save(folder / f"{number}-original.png")
            photograph.save(folder / f"{number}-recompressed.jpg", quality=90)
            photograph.resize((64, 64), Image.Resampling.LANCZOS).save(folder / f"{number}-larger.png")
    config = make_config({"dataset": "folder", "data_dir": str(folder)})
    source = find_source(config)
    facts, _ = examine(source, Recipe.of(resolve(config, source)))
    groups = [{name.split("-")[0] for name in group} for group in _near_duplicates(facts)]
    assert len(names) == 50
    assert sum(len(group) == 1 for group in groups) >= 45
    assert all(len(group) == 1 for group in groups)
    assert sum(len(group) == 3 for group in _near_duplicates(facts)) >= 35
