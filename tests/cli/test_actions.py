"""What the actions of `dcgan sample` draw and keep, and what they refuse."""

import dataclasses
import importlib
import json
import os
import re
import shutil
import types

import numpy as np
import pytest
from PIL import Image

from dcgan_tf import load_generator
from dcgan_tf.cli.actions import common
from dcgan_tf.cli.actions.project import load_picture_to_project
from dcgan_tf.cli.sample import ACTIONS
from dcgan_tf.config.settings import Config
from dcgan_tf.config.storage import load_config, save_config
from dcgan_tf.data.prepare import prepare
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import classifier, labeled
from dcgan_tf.generation.measures import stroke_thickness
from dcgan_tf.generation.projector import write_projector
from dcgan_tf.generation.vectors import Vector, VectorFile
from dcgan_tf.runs.run_directory import Run, load_run
from tests.small_runs import read, write_run

SIDE, PITCH = 48, 50  # The side of a 16-pixel tile, enlarged threefold, and the distance between tiles
CAPTIONED = {"pitch_y": 68, "pitch_x": 52}  # With a line of text below each tile


def tiles(path, rows, columns, top=0, left=0, pitch_y=PITCH, pitch_x=PITCH):
    """The images [rows, columns, 16, 16] of a grid in a picture."""
    picture = read(path)
    picture = picture if picture.ndim == 2 else picture[:, :, 0]
    first = picture[top + 2 :, left + 2 :]
    return np.array(
        [
            [first[y * pitch_y : y * pitch_y + SIDE : 3, x * pitch_x : x * pitch_x + SIDE : 3] for x in range(columns)]
            for y in range(rows)
        ]
    )


@pytest.fixture(scope="module")
def generator(run_dir):
    return load_generator(run_dir)


@pytest.fixture
def make_vectors(sample, run_dir):
    """Writes a file of vectors to the test's folder: a and b, made from two seeds each."""
    for name, seeds in (("a", "1,2"), ("b", "3-4")):
        sample("vectors", f"--run_dir={run_dir}", "--vectors=v.json", f"--name={name}", f"--seeds={seeds}")


def test_images_from_an_export_alone(sample, run_dir, generator):
    sample("images", f"--saved_model={run_dir / 'saved_model'}", "--num=7", "--seed=5", "--psi=0.5", "--out=new/a.png")
    expected = make_grid(generator.sample(range(5, 12), psi=0.5), columns=3)[:, :, 0]
    np.testing.assert_array_equal(read("new/a.png"), expected)


def test_images_in_single_files(sample, run_dir, generator):
    sample("images", f"--run_dir={run_dir}", "--num=2", "--seed=9", "--separate", "--out=many")
    np.testing.assert_array_equal(read("many/00000010.png"), generator.sample([10])[0, :, :, 0])


def test_images_with_their_seeds_and_moved(sample, run_dir, generator, make_vectors):
    sample("images", f"--run_dir={run_dir}", "--num=4", "--show_seeds", "--vectors=v.json", "--shift=2:1.5,a:-1")
    a = generator.latents([1, 2]).mean(0)
    z = generator.latents(range(4)) + 1.5 * generator.principal_directions.vectors[1] - a / np.linalg.norm(a)
    picture = tiles("samples.png", 2, 2, **CAPTIONED).reshape(4, 16, 16)
    np.testing.assert_allclose(picture.astype(int), generator.decode(z)[:, :, :, 0].astype(int), atol=1)


def test_images_of_classes(sample, conditional_run_dir):
    sample("images", f"--run_dir={conditional_run_dir}", "--num=4", "--label=7", "--out=seven.png")
    images = load_generator(conditional_run_dir).sample(range(4), labels=[7] * 4)
    np.testing.assert_array_equal(tiles("seven.png", 2, 2).reshape(4, 16, 16), images[:, :, :, 0])


def test_interpolate(sample, run_dir, generator):
    sample("interpolate", f"--run_dir={run_dir}", "--seeds=3,1", "--steps=4", "--path=linear")
    strip = tiles("interpolation.png", 1, 5)[0]
    np.testing.assert_array_equal(strip[[0, 4]], generator.sample([3, 1])[:, :, :, 0])
    middle = generator.decode(generator.latents([3, 1]).mean(0, keepdims=True))[0, :, :, 0]
    np.testing.assert_allclose(strip[2].astype(int), middle.astype(int), atol=1)
    sample("interpolate", f"--run_dir={run_dir}", "--seeds=3,1", "--steps=4", "--closed", "--fps=20", "--out=loop.gif")
    with Image.open("loop.gif") as gif:
        assert gif.n_frames == 8
        assert gif.info["duration"] == 50
        assert gif.info["loop"] == 0


def test_walk_leads_through_nine_points_and_back(sample, run_dir, generator):
    sample("walk", f"--saved_model={run_dir / 'saved_model' / '1'}", "--seed=20", "--steps=3")
    picture = tiles("walk.png", 9, 4)
    points = generator.sample(range(20, 29))[:, :, :, 0]
    np.testing.assert_array_equal(picture[:, 0], points)
    np.testing.assert_array_equal(picture[:, 3], np.roll(points, -1, axis=0))


def test_sweep_moves_one_direction_at_a_time(sample, run_dir, generator, make_vectors):
    sample("sweep", f"--run_dir={run_dir}", "--vectors=v.json", "--directions=3,b", "--columns=3", "--extent=2")
    left = read("sweep.png").shape[1] - (3 * PITCH + 2)
    picture = tiles("sweep.png", 2, 3, top=16, left=left).astype(int)
    b = generator.latents([3, 4]).mean(0)
    for row, direction in zip(picture, (generator.principal_directions.vectors[2], b / np.linalg.norm(b)), strict=True):
        z = generator.latents([0]) + np.float32([[-2], [0], [2]]) * direction
        np.testing.assert_allclose(row, generator.decode(z)[:, :, :, 0].astype(int), atol=1)


@pytest.fixture
def measures(monkeypatch):
    """The measures. That of thickness is the brightness, which grows along the third latent number."""
    measures = importlib.import_module("dcgan_tf.cli.actions.directions").MEASURES
    monkeypatch.setitem(measures, "thickness", lambda images: images.mean((1, 2, 3)))
    gray = np.full((1, 16, 16, 1), 128.0)
    monkeypatch.setattr(
        "dcgan_tf.generation.generator.Generator.decode",
        lambda _, z, labels=None: np.clip(gray + 15 * z[:, 2, None, None, None], 0, 255).astype(np.uint8),
    )
    return measures


def test_directions_are_kept_only_where_the_measure_grows(sample, refused, run_dir, measures, monkeypatch):
    output = sample("directions", f"--run_dir={run_dir}", "--vectors=v.json", "--samples=400", "--test_samples=32")
    means = [float(line.split()[1]) for line in output.splitlines() if re.match(r" +[+-]\d", line)]
    assert len(means) == 7
    assert means == sorted(means)
    vector = json.loads(open("v.json").read())["vectors"]["thickness"]
    np.testing.assert_allclose(vector["values"], np.eye(8)[2], atol=0.02)
    assert vector["seeds"] == []
    assert read("thickness.png").shape[2] == 3

    noise = np.random.default_rng(0)
    monkeypatch.setitem(measures, "slant", lambda images: noise.normal(size=len(images)))
    line = refused("directions", f"--run_dir={run_dir}", "--vectors=v.json", "--measure=slant", "--samples=400")
    assert "does not grow at every step" in line
    assert "slant" not in json.loads(open("v.json").read())["vectors"]


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["vectors", "--name=mine", "--seeds=1"], "mine"),
        (["directions", "--samples=20", "--test_samples=8"], "thickness"),
        (["project", "--name=mine", "--image=picture.png", "--steps=1", "--restarts=1"], "mine"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_vector_that_another_command_saves_meanwhile_is_kept(
    sample, run_dir, tmp_path, measures, monkeypatch, arguments, name
):
    open_vectors = common.open_vectors

    def open_before_another_command(source, generator):
        opened = open_vectors(source, generator)
        other = {"other": Vector(np.zeros(generator.latent_dim, np.float32), "another command")}
        VectorFile(generator.digest, generator.latent_dim, other).save(common.vectors_path(source))
        return opened

    monkeypatch.setattr(common, "open_vectors", open_before_another_command)
    save_png(np.zeros((16, 16, 1), np.uint8), tmp_path / "picture.png")
    sample(*arguments, f"--run_dir={run_dir}", "--vectors=v.json")
    assert json.loads(open("v.json").read())["vectors"].keys() == {"other", name}


def test_arithmetic_averages_latents_and_pixels(sample, run_dir, generator, make_vectors):
    sample("arithmetic", f"--run_dir={run_dir}", "--vectors=v.json", "--expression=2*a - b")
    width = read("arithmetic.png").shape[1]
    exemplars = tiles("arithmetic.png", 3, 1, top=32)[:, 0]
    np.testing.assert_array_equal(exemplars[:2], generator.sample([1, 2])[:, :, :, 0])
    a, b = generator.latents([1, 2]).mean(0), generator.latents([3, 4]).mean(0)
    np.testing.assert_array_equal(exemplars[2], generator.decode(a[None])[0, :, :, 0])
    result = generator.decode((2 * a - b)[None])[0, :, :, 0].astype(int)
    everywhere = read("arithmetic.png")[32 + 2 + PITCH : 32 + 2 + PITCH + SIDE : 3, :, 0].astype(int)
    assert any(np.abs(everywhere[:, x : x + SIDE : 3] - result).max() <= 1 for x in range(width - SIDE + 1))
    pixels = generator.sample([1, 2, 3, 4])[:, :, :, 0].astype(float)
    pixels = np.clip(2 * pixels[:2].mean(0) - pixels[2:].mean(0), 0, 255)
    everywhere = read("arithmetic.png")[34 : 34 + SIDE : 3, :, 0].astype(int)
    assert any(np.abs(everywhere[:, x : x + SIDE : 3] - pixels).max() <= 1 for x in range(width - SIDE + 1))


def test_vectors_are_proposed_merged_and_listed(sample, run_dir, generator, monkeypatch):
    source = f"--run_dir={run_dir}"
    sample("vectors", source, "--vectors=v.json", "--name=thick", "--propose=thick", "--candidates=50", "--count=4")
    thickness = stroke_thickness(generator.sample(range(50)))
    best = np.argsort(-thickness)[:4].tolist()
    assert json.loads(open("v.json").read())["vectors"]["thick"]["seeds"] == best

    middle = np.median(generator.sample(range(50)).mean((1, 2, 3)))

    def network(images, training):  # Sure that the brighter ones are frames.
        bright = images.mean((1, 2, 3)) > middle
        return {"logits": np.where(bright[:, None], [0.0, 9.0], [0.0, 0.0])}

    for module in (classifier, labeled):  # Whichever of them is imported first
        monkeypatch.setattr(module, "load_or_train_classifier", lambda *_, **__: types.SimpleNamespace(network=network))
    sample("vectors", source, "--vectors=w.json", "--name=frame", "--propose=typical", "--of=frames", "--candidates=50")
    seeds = json.loads(open("w.json").read())["vectors"]["frame"]["seeds"]
    assert (generator.sample(seeds).mean((1, 2, 3)) > middle).all()

    sample("vectors", source, "--vectors=v.json", "--merge=w.json")
    listed = sample("vectors", source, "--vectors=v.json")
    assert "frame: mean of exemplars, proposed as typical of class frames" in listed


def test_typical_images_of_a_conditional_run_are_of_its_label(sample, refused, conditional_run_dir, monkeypatch):
    generator = load_generator(conditional_run_dir)
    middle = np.median(generator.sample(range(50), labels=[7] * 50).mean((1, 2, 3)))

    def network(images, training):  # Sure that the brighter ones are of class 7.
        bright = images.mean((1, 2, 3)) > middle
        return {"logits": 9.0 * bright[:, None] * (np.arange(10) == 7)}

    for module in (classifier, labeled):  # Whichever of them is imported first
        monkeypatch.setattr(module, "load_or_train_classifier", lambda *_, **__: types.SimpleNamespace(network=network))
    arguments = [f"--run_dir={conditional_run_dir}", "--vectors=v.json", "--name=seven", "--propose=typical"]
    sample("vectors", *arguments, "--label=7", "--candidates=50")
    vector = json.loads(open("v.json").read())["vectors"]["seven"]
    assert "proposed as typical of class 7 from seeds" in vector["origin"]
    images = generator.sample(vector["seeds"], labels=[7] * 3)
    assert (images.mean((1, 2, 3)) > middle).all()
    assert "is conditional. Give a class, such as --label=0" in refused("vectors", *arguments)
    assert "--of: a conditional run makes images of the class --label" in refused(
        "vectors", *arguments, "--label=7", "--of=7"
    )


def test_data_without_classes_have_no_typical_images(refused, run_dir, tmp_path):
    unlabeled = Run(tmp_path, dataclasses.replace(load_run(run_dir).config, class_names=()))
    unlabeled.save_config()
    for way in ("--propose=typical", "--of=cat"):
        line = refused("vectors", f"--run_dir={unlabeled.directory}", "--name=a", "--propose=thick", way)
        assert f"{way.partition('=cat')[0]}: folder has no classes" in line


def test_project_shows_picture_and_projection(sample, refused, run_dir, generator, tmp_path):
    image = generator.sample([11])[0]
    save_png(image, tmp_path / "eleven.png")
    sample("project", f"--run_dir={run_dir}", "--image=eleven.png", "--steps=150", "--name=mine", "--vectors=v.json")
    shown = tiles("projection.png", 1, 1, top=16)[0, 0]
    np.testing.assert_array_equal(shown, image[:, :, 0])
    z = np.float32(json.loads(open("v.json").read())["vectors"]["mine"]["values"])
    found = generator.decode(z[None])[0].astype(int)
    assert np.median(np.abs(found - image)) <= 2
    # Another size and other colors are refused, and the message names the flag that helps.
    Image.fromarray(image[:, :, 0]).convert("RGB").resize((40, 32)).save("large.png")
    line = refused("project", f"--run_dir={run_dir}", "--image=large.png")
    assert re.search(r"expected 16x16 pixels.*32x40.*--resize", line)
    sample("project", f"--run_dir={run_dir}", "--image=large.png", "--resize", "--steps=1")
    Image.fromarray(image[:, :, 0]).convert("RGB").save("color.png")
    line = refused("project", f"--run_dir={run_dir}", "--image=color.png")
    assert re.search(r"expected gray.*RGB.*--resize", line)


def test_names_are_refused_before_the_work(refused, run_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("dcgan_tf.generation.generator.Generator.project", None)
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "black.png")
    line = refused("project", f"--run_dir={run_dir}", "--image=black.png", "--name=a b", "--vectors=v.json")
    assert "--name: expected a word" in line
    assert [path.name for path in tmp_path.iterdir()] == ["black.png"]


def test_project_reads_a_picture_as_training_does(tmp_path, monkeypatch):
    config = Config(image_size="16", channels="1", background="black", max_side=20)
    Image.fromarray(np.full((16, 16), 257 * 40, np.uint16)).save(tmp_path / "deep.png", transparency=257 * 41)
    assert np.all(load_picture_to_project(tmp_path / "deep.png", config, resize=False).image == 40)
    Image.new("L", (16, 16)).save(tmp_path / "strange.png", format="TIFF")
    with pytest.raises(UserError, match=r"strange.png' cannot be used: not a picture in a supported format"):
        load_picture_to_project(tmp_path / "strange.png", config, resize=True)
    Image.new("L", (21, 16)).save(tmp_path / "wide.png")
    with pytest.raises(UserError, match=r"wide.png' cannot be used: 21x16 pixels are more than `max_side=20`"):
        load_picture_to_project(tmp_path / "wide.png", config, resize=True)

    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr("dcgan_tf.cli.actions.project.make_row", no_memory)
    with pytest.raises(UserError, match=r"deep.png': not enough memory to decode this picture"):
        load_picture_to_project(tmp_path / "deep.png", config, resize=False)


def test_only_larger_pictures_are_cropped_and_what_is_left_out_is_said(tmp_path):
    config = Config(image_size="16", channels="1", crop_size=8)
    ramp = np.tile(np.arange(0, 256, 16, dtype=np.uint8), (16, 1))
    Image.fromarray(ramp).save(tmp_path / "fits.png")
    for resize in (False, True):
        image, cut = load_picture_to_project(tmp_path / "fits.png", config, resize)
        np.testing.assert_array_equal(image[:, :, 0], ramp)
        assert cut == ""
    Image.fromarray(ramp).resize((40, 20)).save(tmp_path / "larger.png")
    image, cut = load_picture_to_project(tmp_path / "larger.png", config, resize=True)
    assert "Only the central 8x8 of its 20x40 pixels (height x width) are used, as in training (crop_size=8)" in cut
    assert np.ptp(image) < 60


def test_neighbors_of_training_images_are_themselves(sample, run_dir, pictures, monkeypatch):
    files = sorted(pictures.rglob("*.png"))
    chosen = np.stack([read(files[7]), read(files[40])])[..., None]
    monkeypatch.setattr("dcgan_tf.generation.generator.Generator.sample", lambda *_, **__: chosen)
    source = f"--saved_model={run_dir / 'saved_model'}"
    output = sample("neighbors", source, f"--data_dir={pictures}", "--num=2", "--count=3")
    assert "nearest of 60 training images" in output
    shown = tiles("neighbors.png", 2, 4, **CAPTIONED)
    np.testing.assert_array_equal(shown[:, 0], chosen[..., 0])
    np.testing.assert_array_equal(shown[:, 1], chosen[..., 0])
    distances = np.linalg.norm((shown[0, 1:] - shown[0, :1].astype(float)) / 255, axis=(1, 2))
    others = np.stack([read(file) for file in files]) / 255 - chosen[0, :, :, 0] / 255
    np.testing.assert_allclose(distances, np.sort(np.linalg.norm(others, axis=(1, 2)))[:3])


def test_neighbors_of_a_packed_run(sample, pictures, tmp_path):
    changes = {"dataset": "folder", "data_dir": str(pictures), "split": "train", "batch_size": 15, "pack": 3}
    run_dir = write_run(tmp_path / "run", export=False, **changes)
    sample("neighbors", f"--run_dir={run_dir}", "--num=2", "--count=3")
    shown = tiles("neighbors.png", 2, 4, **CAPTIONED)
    np.testing.assert_array_equal(shown[:, 0], load_generator(run_dir).sample([0, 1])[..., 0])


def test_an_export_of_a_folder_asks_where_the_pictures_are(refused, run_dir):
    line = refused("neighbors", f"--saved_model={run_dir / 'saved_model'}")
    assert "--data_dir: an export does not record" in line


def test_moved_data_are_found_and_kept_unless_they_are_others(sample, refused, run_dir, pictures, tmp_path):
    saved, _ = prepare(load_config(run_dir / "config.json"))
    copy = shutil.copytree(run_dir, tmp_path / "run")
    save_config(dataclasses.replace(saved, data_dir="/gone"), copy / "config.json")
    moved = shutil.copytree(pictures, tmp_path / "moved")
    arguments = ("neighbors", f"--run_dir={copy}", "--num=1", "--count=1")
    sample(*arguments, f"--data_dir={moved}", f"--cache_dir={tmp_path / 'cache'}")
    kept = dataclasses.replace(saved, data_dir=str(moved), cache_dir=str(tmp_path / "cache"))
    assert load_config(copy / "config.json") == kept
    sample(*arguments)  # From now on without flags

    others = shutil.copytree(pictures, tmp_path / "others")
    next(others.rglob("*.png")).unlink()
    assert "have changed" in refused(*arguments, f"--data_dir={others}")
    assert load_config(copy / "config.json") == kept


def test_filters_of_trained_and_random_weights_differ(sample, run_dir, generator):
    sample("filters", f"--run_dir={run_dir}", "--features=2", "--images=3", "--candidates=50")
    from dcgan_tf.generation.attention import first_filters

    picture = read("filters.png")
    first = make_grid(first_filters(generator.discriminator), columns=4)
    np.testing.assert_array_equal(picture[32 : 32 + first.shape[0], : first.shape[1], 0], first[:, :, 0])


def test_projector_files_are_what_tensorboard_reads(sample, run_dir, generator, tmp_path):
    sample("projector", f"--run_dir={run_dir}", "--num=10", "--steps=2", "--out=board")
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig, projector_plugin

    config = text_format.Parse((tmp_path / "board/projector_config.pbtxt").read_text(), ProjectorConfig())
    tensors = {each.tensor_name: each for each in config.embeddings}
    values = {
        name: projector_plugin._read_tensor_tsv_file(str(tmp_path / "board" / each.tensor_path))
        for name, each in tensors.items()
    }
    assert values["discriminator_features"].shape == (20, 16)
    np.testing.assert_allclose(values["latents"][10:], generator.latents(range(10)), rtol=1e-4, atol=1e-6)
    metadata = (tmp_path / "board" / tensors["latents"].metadata_path).read_text().splitlines()
    assert len(metadata) == 21
    assert metadata[1].split("\t") == ["real bars", "real", "bars"]
    assert metadata[11].split("\t") == ["generated", "generated", "unknown"]
    sprite = read(tmp_path / "board" / tensors["latents"].sprite.image_path)
    assert sprite.shape == (80, 80)
    assert list(tensors["latents"].sprite.single_image_dim) == [16, 16]
    np.testing.assert_array_equal(sprite[32:48, :16], generator.sample([0])[0, :, :, 0])  # The eleventh, five per row


def test_projector_takes_names_of_classes_that_are_not_utf_8(tmp_path):
    write_projector(
        tmp_path, {"latents": np.zeros((1, 2))}, np.zeros((1, 4, 4, 1), np.uint8), {"class": [os.fsdecode(b"b\xff")]}
    )
    assert (tmp_path / "projector" / "metadata.tsv").read_text() == "class\nb\\udcff\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["images", "--num=0"], "--num: expected at least 1"),
        (["images", "--seed=-1"], "--seed: expected from 0"),
        (["images", "--psi=nan"], "--psi: expected at least 0"),
        (["images", "--out=grid.jpg"], "--out: expected a file that ends in .png"),
        (["images", "--label=3"], "--label: .* is not conditional"),
        (["images", "--shift=1"], "--shift: expected directions and numbers"),
        (["images", "--shift=99:1"], "unknown direction '99'"),
        (["interpolate", "--seeds="], "--seeds: expected seeds from 0 on"),
        (["interpolate", "--seeds=5"], "--seeds: expected at least 2 seeds"),
        (["interpolate", "--seeds=9-3"], "--seeds: expected seeds from 0 on"),
        (["interpolate", "--out=a.avi"], "--out: expected a file that ends in .png, .gif or .mp4"),
        (["walk", "--fps=9"], "--fps has no effect on a PNG file"),
        (["interpolate", "--fps=9"], "--fps has no effect on a PNG file"),
        (["interpolate", "--fps=99", "--out=a.gif"], "--fps: expected from 0.1 to 50"),
        (["walk", "--seed=-1"], "--seed: expected seeds from 0 on"),
        (["sweep", "--directions=1,sharp"], "unknown direction 'sharp'"),
        (["arithmetic", "--expression=a - nobody"], "unknown vector 'a'"),
        (["vectors", "--name=a", "--seeds="], "--seeds: expected seeds from 0 on"),
        (["vectors", "--name=a b", "--seeds=1"], "--name: expected a word"),
        (["vectors", "--name=a"], "expected --name with --seeds or with --propose"),
        (["vectors", "--seeds=1"], "expected --name with --seeds or with --propose"),
        (["vectors", "--count=3"], "--count has no effect without --propose"),
        (["vectors", "--name=a", "--propose=typical"], "--propose=typical: expected a class"),
        (["project", "--image=nowhere.png"], "--image: expected a picture"),
        (["projector", "--num=1"], "--num: expected from 2"),
    ],
)  # fmt: skip
def test_bad_values_are_refused(refused, run_dir, arguments, message, tmp_path):
    action, *rest = arguments
    vectors = ["--vectors=v.json"] if action in WITH_VECTORS else []
    assert re.search(message, refused(action, f"--run_dir={run_dir}", *vectors, *rest))
    assert not list(tmp_path.iterdir())


WITH_VECTORS = ("sweep", "arithmetic", "vectors", "images", "interpolate", "project")


def test_vectors_of_another_run_are_refused(refused, conditional_run_dir, make_vectors):
    flags = (f"--run_dir={conditional_run_dir}", "--label=1", "--vectors=v.json", "--expression=a")
    assert "belongs to other weights" in refused("arithmetic", *flags)


def test_a_conditional_run_asks_for_a_class(refused, conditional_run_dir):
    run_dir = f"--run_dir={conditional_run_dir}"
    assert "is conditional. Give a class, such as --label=0" in refused("walk", run_dir)
    assert "--label: expected a class" in refused("walk", run_dir, "--label=10")


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "images"])
def test_points_are_refused_in_one_line(refused, points_run_dir, action):
    line = refused(action, f"--run_dir={points_run_dir}")
    assert "--dataset=ring are points, but this action needs images" in line


def test_points_are_drawn(sample, points_run_dir):
    sample("images", f"--run_dir={points_run_dir}", "--num=9")
    assert read("samples.png").shape == (400, 400, 3)


def test_a_model_is_named_once(refused, run_dir):
    assert "name two models" in refused("walk", f"--run_dir={run_dir}", f"--saved_model={run_dir}")
    assert "--saved_model: expected a folder" in refused("walk", f"--saved_model={run_dir / 'checkpoints'}")
