"""Any two sets of images: what can be named as a side, and the metrics that compare two sides."""

import dataclasses
import json
import zipfile
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.errors import UserError
from dcgan_tf.evaluation.evaluator import evaluate_sets
from dcgan_tf.evaluation.features import random_network
from dcgan_tf.evaluation.judge import NetworkOptions, networks_for
from dcgan_tf.evaluation.sides import SideOptions, open_sides
from dcgan_tf.evaluation.statistics import load_statistics, save_statistics
from dcgan_tf.generation.generator import load_generator
from dcgan_tf.metrics.frechet import frechet_distance
from dcgan_tf.metrics.kernel import kernel_distance
from tests.conftest import one_line

COUNT = 210


def draw(seed, count=COUNT, shape=(16, 16, 1)):
    """Bright blocks at random places."""
    random = np.random.default_rng(seed)
    images = random.integers(0, 60, (count, *shape), np.uint8)
    for image in images:
        top, left = random.integers(0, 10, 2)
        image[top : top + 6, left : left + 6] = random.integers(150, 256)
    return images


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """The same pictures as .npy, .npz, a folder and a .zip file of that folder; and other pictures as other.npy."""
    folder = tmp_path_factory.mktemp("sides")
    images = draw(0)
    np.save(folder / "same.npy", images)
    np.savez(folder / "same.npz", images)
    np.save(folder / "other.npy", draw(1))
    (folder / "same").mkdir()
    with zipfile.ZipFile(folder / "same.zip", "w") as archive:
        for number, image in enumerate(images):
            path = folder / "same" / f"{number:03}.png"
            Image.fromarray(image[..., 0]).save(path)
            archive.write(path, f"pictures/{path.name}")
        archive.writestr("pictures/readme.txt", "no picture")
    return folder


@pytest.mark.parametrize("name", ["same.npy", "same.npz", "same", "same.zip"])
def test_pictures_in_every_form_are_the_same_images(sides, name):
    generated, real = open_sides(str(sides / "other.npy"), str(sides / name), SideOptions())
    assert (generated.shape, real.shape) == ((16, 16, 1), (16, 16, 1))
    assert (len(generated), len(real)) == (COUNT, COUNT)
    np.testing.assert_array_equal(real.read(np.arange(COUNT)), draw(0))
    few, _ = open_sides(str(sides / name), str(sides / "other.npy"), SideOptions(num=20))
    assert len(few) == 20


def test_a_run_an_export_and_a_data_set_are_sides(run_dir, sides):
    options = SideOptions(num=40, seed=3)
    generated, real = open_sides(str(run_dir), str(run_dir / "saved_model"), options)
    np.testing.assert_array_equal(generated.read(np.arange(2)), load_generator(run_dir).sample([3, 4]))
    np.testing.assert_array_equal(real.read(np.arange(2)), load_generator(run_dir / "saved_model").sample([3, 4]))
    generated, real = open_sides("mnist", "mnist:test[:60]", options)  # The bundled generator
    assert (generated.shape, real.shape, len(real)) == ((28, 28, 1), (28, 28, 1), 40)
    assert real.class_names == tuple("0123456789")
    # A generator cannot be resized, so the pictures are.
    generated, real = open_sides("mnist", str(sides / "same"), SideOptions(num=40, resize=True))
    assert real.shape == generated.shape == (28, 28, 1)


def test_a_folder_comes_before_a_name_and_classes_may_be_numbers(sides, tmp_path, monkeypatch):
    """A folder 'mnist' is not the bundled generator, and subfolders '0' and '1' are not versions of an export."""
    monkeypatch.chdir(tmp_path)
    for name in ("mnist/0/a.png", "mnist/1/b.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        Image.fromarray(draw(len(name))[0, ..., 0]).save(tmp_path / name)
    _, real = open_sides(str(sides / "other.npy"), "mnist", SideOptions())
    assert (len(real), real.class_names) == (2, ("0", "1"))


def test_statistics_find_their_images_in_another_place(sides, tmp_path):
    """The classifier of the images is needed. On another machine, they are in another folder."""
    for label in range(2):
        (tmp_path / "here" / str(label)).mkdir(parents=True)
        for number, image in enumerate(draw(label, 60)):
            Image.fromarray(image[..., 0]).save(tmp_path / "here" / str(label) / f"{number}.png")
    _, real = open_sides(str(sides / "other.npy"), str(tmp_path / "here"), SideOptions())
    saved = load_statistics(save_statistics(tmp_path / "statistics.npz", [random_network((16, 16, 1))], real))
    facts = {"digest": "a", "resizer": "none"}
    saved = dataclasses.replace(saved, _networks={"here-classifier": facts})
    (tmp_path / "moved").mkdir()
    (tmp_path / "here").rename(tmp_path / "moved" / "here")
    with pytest.raises(
        UserError, match=r"need the classifier of their images, which is found by means of the images: "
    ):
        networks_for(saved, NetworkOptions(), {"cache_dir": str(tmp_path)})
    moved = {"data_dir": str(tmp_path / "moved" / "here"), "cache_dir": str(tmp_path)}
    with mock.patch("dcgan_tf.evaluation.judge.own_network") as own_network:
        networks_for(saved, NetworkOptions(), moved)
        assert own_network.call_args.args[0].data_dir == moved["data_dir"]
        # The folder of pictures is that of --real, whatever --data_dir is.
        networks_for(dataclasses.replace(real, config=saved.config), NetworkOptions(), moved)
        assert own_network.call_args.args[0].data_dir == str(tmp_path / "here")
        own_network.reset_mock()
        with pytest.raises(UserError, match=r"has the statistics of .*here-classifier, but not of moved-classifier"):
            networks_for(saved, NetworkOptions(), {"data_dir": str(tmp_path / "moved")})
        own_network.assert_not_called()


def test_a_conditional_generator_draws_all_classes_alike(conditional_run_dir, tmp_path):
    np.save(tmp_path / "real.npy", draw(0, shape=(16, 16, 3)))
    generated, _ = open_sides(str(conditional_run_dir), str(tmp_path / "real.npy"), SideOptions(num=200))
    assert np.bincount(generated.labels).tolist() == [20] * 10
    images = generated.read(np.array([7, 0]))
    np.testing.assert_array_equal(
        images, load_generator(conditional_run_dir).sample([7, 0], labels=generated.labels[[7, 0]])
    )


def test_figures_are_those_of_the_features(sides):
    generated, real = open_sides(str(sides / "other.npy"), str(sides / "same"), SideOptions())
    networks = networks_for(real, NetworkOptions(), {})
    evaluation = evaluate_sets(networks, generated, real)
    figures = {figure.name: figure for figure in evaluation.figures}
    network = random_network((16, 16, 1))
    fake, true = (network.function(draw(seed))[0].numpy() for seed in (1, 0))
    distance = figures["frechet_distance[random-convolutions]"]
    assert distance.value == pytest.approx(frechet_distance(true, fake), rel=1e-5)
    assert distance.real_value is None
    assert (distance.n_real, distance.n_fake) == (COUNT, COUNT)
    # Rows are drawn in random order, so the kernel distance uses other blocks, which give a similar value.
    kernel = figures["kernel_distance[random-convolutions]"]
    assert abs(kernel.value - kernel_distance(true, fake).value) < 4 * kernel.standard_error
    assert evaluation.facts["generated"].startswith("array, 210 of 210 images of 16x16x1, digest ")
    assert evaluation.classes is None


def test_statistics_stand_for_the_images(sides, tmp_path, monkeypatch):
    generated, real = open_sides(str(sides / "other.npy"), str(sides / "same"), SideOptions())
    networks = networks_for(real, NetworkOptions(), {})
    path = save_statistics(tmp_path / "statistics.npz", networks, real)
    expected = evaluate_sets(networks, generated, real)
    generated, saved = open_sides(str(sides / "other.npy"), str(path), SideOptions())
    again = evaluate_sets(networks_for(saved, NetworkOptions(), {}), generated, saved)
    assert [figure.value for figure in again.figures] == [figure.value for figure in expected.figures]
    assert again.facts["real"] == expected.facts["real"]

    other = networks[0].__class__(**{**vars(networks[0]), "digest": "0" * 12})
    with pytest.raises(UserError, match=r"made with another digest of random-convolutions: .*, not 000000000000"):
        saved.features([other], "")
    other = networks[0].__class__(**{**vars(networks[0]), "resizer": "bicubic"})
    with pytest.raises(UserError, match="made with another resizer of random-convolutions: none, not bicubic"):
        saved.features([other], "")
    other = networks[0].__class__(**{**vars(networks[0]), "name": "inception-2015"})
    with pytest.raises(UserError, match="has the statistics of random-convolutions, but not of inception-2015"):
        saved.features([other], "")
    with pytest.raises(UserError, match=r"`num=200`: the statistics in .* are of 210 images"):
        open_sides(str(sides / "other.npy"), str(path), SideOptions(num=200))
    with pytest.raises(UserError, match="holds the statistics of real images"):
        open_sides(str(path), str(sides / "same"), SideOptions())
    with pytest.raises(
        UserError, match=r"`crop_size` has no effect on '.*statistics.npz', which has a size of its own"
    ):
        open_sides(str(sides / "other.npy"), str(path), SideOptions(crop_size=8))
    arrays = dict(np.load(path))
    facts = json.loads(str(arrays["dcgan_tf_statistics"]))
    for networks_said, reason in (
        ([], "statistics.npz' are damaged"),
        ({"other": {"digest": "a", "resizer": "b"}}, "the features of other are incomplete"),
        ({"random-convolutions": {}}, "the features of random-convolutions are incomplete"),
    ):
        np.savez(path, **{**arrays, "dcgan_tf_statistics": json.dumps({**facts, "networks": networks_said})})
        with pytest.raises(UserError, match=reason):
            open_sides(str(sides / "other.npy"), str(path), SideOptions())
    np.savez(path, **{**arrays, "values/random-convolutions": arrays["values/random-convolutions"][:9]})
    with pytest.raises(UserError, match=r"statistics.npz' are damaged: it does not have 210 rows\. Make them again"):
        open_sides(str(sides / "other.npy"), str(path), SideOptions())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nothing", "`generated`: expected a folder or .zip file of pictures, an .npy .* Received: "),
        ("float.npy", r"`generated`: .*float.npy': expected images as a uint8 array"),
        ("text.npy", "text.npy' is damaged or holds no array"),
        ("text.npz", "text.npz' is damaged or holds no array"),
        ("names.npz", "names.npz' holds no array 'images' or 'arr_0'"),
        ("two.npz", r"two.npz': it has several arrays \(arr_0, arr_1\)\. Name that of the images 'images'"),
        ("labels.npz", "labels.npz': expected labels below 100,000, numbered from 0. Received: 1,000,000,000"),
        ("empty.zip", "`generated`: no picture in '.*empty.zip'"),
        ("text.zip", "`generated`: .*text.zip' is not a zip archive"),
        ("evil.zip", r"`generated`: .*evil.zip' contains the path '\.\./outside.png', which leads out of it"),
        ("splits.zip", r"`generated`: '.*splits.zip' holds splits. Unpack it, .* such as '.*train'"),
        ("large.npy", r"`generated`: expected pictures of 16x16 pixels .* Received: 20x18\. Use `resize=True`"),
        ("none", "`generated`: no picture in '.*none'"),
    ],
)
def test_what_is_no_side_is_said_in_one_line(sides, tmp_path, name, expected):
    np.save(tmp_path / "float.npy", draw(0, 3).astype(np.float32))
    np.save(tmp_path / "large.npy", draw(0, 3, (20, 18, 1)))
    np.savez(tmp_path / "names.npz", pictures=draw(0, 3))
    np.savez(tmp_path / "two.npz", draw(0, 3), draw(1, 3))
    np.savez(tmp_path / "labels.npz", images=draw(0, 3), labels=np.array([0, 1, 10**9]))
    (tmp_path / "none").mkdir()
    for file in ("text.npy", "text.npz", "text.zip"):
        (tmp_path / file).write_text("no array")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "no picture")
    content = (sides / "same" / "000.png").read_bytes()
    for file, names in (("evil.zip", ["../outside.png"]), ("splits.zip", ["all/train/1.png", "all/test/1.png"])):
        with zipfile.ZipFile(tmp_path / file, "w") as archive:
            for inside in names:
                archive.writestr(inside, content)
    with pytest.raises(UserError, match=expected) as refused:
        open_sides(str(tmp_path / name), str(sides / "same"), SideOptions())
    assert "\n" not in str(refused.value)


def test_sizes_of_the_real_side_can_be_chosen(tmp_path):
    for number, size in enumerate([(20, 24), (40, 36)] * 3):
        Image.fromarray(draw(number, 1, (*size, 3))[0]).save(tmp_path / f"{number}.png")
    np.save(tmp_path / "generated.npy", draw(0, 4, (16, 16, 3)))
    generated = str(tmp_path / "generated.npy")
    with pytest.raises(UserError, match=r"`real`: the pictures have several sizes. Give .* `image_size`"):
        open_sides(generated, str(tmp_path), SideOptions())
    _, real = open_sides(generated, str(tmp_path), SideOptions(image_size="16"))
    assert real.shape == (16, 16, 3)
    with pytest.raises(UserError, match=r"`generated`: expected pictures of 18x18"):
        open_sides(generated, str(tmp_path), SideOptions(crop_size=18))


def test_a_folder_of_splits_is_not_one_side(sides, bars):
    with pytest.raises(UserError, match=r"`real`: '.*' holds splits. Name one of them, such as '.*train'"):
        open_sides(str(sides / "same"), str(bars), SideOptions())


def test_the_command_prints_only_json(cli, sides, tmp_path):
    statistics = tmp_path / "statistics.npz"
    arguments = ("evaluate", f"--generated={sides / 'other.npy'}", f"--real={sides / 'same'}", "--json=-")
    result = cli(*arguments, f"--save_statistics={statistics}")
    assert result.returncode == 0, result.stderr
    content = json.loads(result.stdout)
    assert (content["n_fake"], content["n_real"]) == (COUNT, COUNT)
    assert statistics.is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--generated=a.npy"], "--real: name the images to compare with"),
        (["--real=a.npy"], "--generated: name the images to evaluate"),
        (["--generated=a.npy", "--run_dir=b"], "--run_dir and --generated name two sets"),
        (["--generated=a.npy", "--real=b.npy", "--probe"], "--probe has no effect with --real"),
        (["--run_dir=a", "--crop_size=3"], "--crop_size has no effect without --real"),
        (["--generated=a", "--real=b", "--json=nowhere/x.json"], "--json: expected a file in an existing folder"),
        (["--generated=a", "--real=b", "--save_statistics=x"], "--save_statistics: expected a file that ends in .npz"),
        (
            ["--generated=a", "--real=r.npz", "--save_statistics=r.npz"],
            "--save_statistics and --real name the same file",
        ),
        (["--generated=a", "--real=b", "--json=j.npz", "--save_statistics=j.npz"], "--json and --save_statistics name"),
        (["--generated=r.npz", "--real=b", "--json=./r.npz"], "--json and --generated name the same file"),
        (["--generated=r.npz", "--real=mnist"], "--real: 'mnist' is the generator that ships with the package"),
    ],
)
def test_mistakes_of_the_command_are_one_line(cli, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    np.savez("r.npz", draw(0, 3))
    np.savez("j.npz", draw(0, 3))
    assert expected in one_line(cli("evaluate", *arguments))
