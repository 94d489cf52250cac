"""A classifier trained on another labeled data set: what is refused, how images are converted, and its metrics."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from dcgan_tf.data.prepare import cache_root
from dcgan_tf.errors import UserError
from dcgan_tf.evaluation import classifier, evaluator
from dcgan_tf.evaluation.evaluator import Options, evaluate_run
from dcgan_tf.evaluation.labeled import labeled_config, labeled_network, load_labeled_classifier
from dcgan_tf.models.pixels import to_gray
from dcgan_tf.runs.run_directory import Run, load_run
from tests.conftest import one_line
from tests.data.test_archive import archive, png
from tests.small_runs import write_run


@pytest.fixture(scope="module")
def color_run(tmp_path_factory, bars):
    """The folder of a run on RGB images without classes. The pictures themselves are gray."""
    return write_run(
        tmp_path_factory.mktemp("color"), export=False, dataset="folder", data_dir=str(bars / "train" / "across"),
        split="train", channels="3",
    )  # fmt: skip


@pytest.fixture
def color_config(color_run):
    return load_run(color_run).config


def test_gray_is_that_of_pillow():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 80, 3), np.uint8)
    np.testing.assert_array_equal(to_gray(pixels[None])[0, :, :, 0], np.asarray(Image.fromarray(pixels).convert("L")))


def test_images_and_labeled_pictures_meet_in_gray(color_config, bars, bars_config, tmp_path):
    assert labeled_config(str(bars), color_config).channels == "1"
    assert labeled_config(str(bars), bars_config).channels == "1"
    colored = tmp_path / "colored"
    for name in ("a", "b"):
        (colored / name).mkdir(parents=True)
        Image.new("RGB", (16, 16), "red").save(colored / name / "0.png")
    found = labeled_config(str(colored), color_config)
    assert (found.channels, found.image_size, found.class_names) == ("3", "16", ("a", "b"))
    assert labeled_config(str(colored), bars_config).channels == "1"


def test_another_size_needs_resize(color_config, bars, tmp_path):
    larger = dataclasses.replace(color_config, image_size="24x20", blocks=0)
    with pytest.raises(UserError, match=r"expected pictures of 24x20.* have 16x16\. Use `resize=True`"):
        labeled_config(str(bars), larger)
    assert labeled_config(str(bars), larger, resize=True).height_and_width == (24, 20)
    mixed = shutil.copytree(bars / "test", tmp_path / "mixed")
    Image.new("L", (20, 16)).save(mixed / "down" / "wide.png")
    with pytest.raises(UserError, match=r"have several sizes\. Use `resize=True`"):
        labeled_config(str(mixed), color_config)
    assert labeled_config(str(mixed), color_config, resize=True).image_size == "16"


def test_the_folder_of_a_run_stands_for_its_data(color_config, bars, tmp_path):
    labeled = write_run(
        tmp_path / "labeled", export=False, dataset="folder", data_dir=str(bars), split="test", image_size="20",
        class_names=("across", "down"), cache_dir="there",
    )  # fmt: skip
    with pytest.raises(UserError, match="have 20x20"):  # The size of the run's images, not that of its pictures
        labeled_config(str(labeled), color_config)
    found = labeled_config(str(labeled), color_config, resize=True)
    assert (found.data_dir, found.split, found.cache_dir) == (str(bars), "test", "there")
    assert (found.class_names, found.image_size) == (("across", "down"), "16")


@pytest.mark.parametrize(
    ("dataset", "message"), [("ring", "are points"), ("array", "were passed in by a program")]
)  # fmt: skip
def test_runs_without_pictures_are_refused(color_config, tmp_path, dataset, message):
    Run(tmp_path, dataclasses.replace(color_config, dataset=dataset)).save_config()
    with pytest.raises(UserError, match=f"`features_from`: the data of the run '{tmp_path}' {message}"):
        labeled_config(str(tmp_path), color_config)


def test_folders_without_classes_are_refused(color_config, bars, tmp_path):
    with pytest.raises(UserError, match=r"`features_from`: .* has no classes"):
        labeled_config(str(bars / "train" / "down"), color_config)
    with pytest.raises(UserError, match="`features_from`: no picture in"):
        labeled_config(str(tmp_path), color_config)
    with pytest.raises(UserError, match="`features_from`: expected a folder of pictures"):
        labeled_config(str(tmp_path / "nowhere"), color_config)


def test_a_damaged_classifier_is_refused(color_config, bars, tmp_path, monkeypatch):
    """Unlike the data's own classifier, it is not retrained unasked: its metrics would no longer be comparable."""
    monkeypatch.setattr(classifier, "fit_classifier", lambda *_, **__: None)
    labeled = labeled_config(str(bars), dataclasses.replace(color_config, cache_dir=str(tmp_path)))
    first = load_labeled_classifier(labeled, (16, 16, 3))
    (path,) = (cache_root(labeled) / "classifiers").glob(f"{first.name}-*.npz")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"-classifier-\w+\.npz' is damaged \(.*\)\. Remove the file") as refused:
        load_labeled_classifier(labeled, (16, 16, 3))
    assert "\n" not in str(refused.value)
    path.unlink()
    assert load_labeled_classifier(labeled, (16, 16, 3)).digest == first.digest


def test_figures_by_the_classifier_of_other_data(
    color_run, color_config, bars, short_classifier_training, monkeypatch, cli, tmp_path
):
    monkeypatch.setattr(evaluator, "MEMORIZATION_IMAGES", 10)
    evaluation = evaluate_run(load_run(color_run), Options(num=60, features_from=str(bars)))
    own, other = evaluation.networks[:2]
    assert own.name == "random-convolutions"
    accuracy = float(other.name.removeprefix(f"{bars.name}-classifier-").removesuffix("%"))
    assert accuracy > 95
    assert f"(across, down), {accuracy:.1f}" in other.description
    assert re.search(r"accuracy on \d+ images of test; images are converted to gray", other.description)
    figures = {figure.name: figure for figure in evaluation.figures}
    precision = figures[f"precision[{other.name}]"]
    assert precision.network == f"{other.name} {other.digest}"
    assert precision.real_value > precision.value
    assert f"class_entropy[{other.name}]" in figures

    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    gray = labeled_network(labeled_config(str(bars), dataclasses.replace(color_config, channels="1")), (16, 16, 1))
    for of_color, of_gray in zip(other.function(images), gray.function(to_gray(images)), strict=True):
        np.testing.assert_allclose(of_color, of_gray, rtol=1e-5, atol=1e-6)
    assert gray.digest == other.digest

    # The command refuses mistakes in one line, before anything that takes minutes.
    monkeypatch.setattr(classifier, "fit_classifier", None)
    evaluate = ("evaluate", f"--run_dir={color_run}")
    nothing = f"--features_from={bars / 'test' / 'down'}"
    assert "--features_from: '" in one_line(cli(*evaluate, nothing))
    assert "--resize has no effect without --features_from" in one_line(cli(*evaluate, "--resize"))
    for name in ("a", "b"):
        (tmp_path / "larger" / name).mkdir(parents=True)
        Image.new("L", (20, 24)).save(tmp_path / "larger" / name / "0.png")
    sized = one_line(cli(*evaluate, f"--features_from={tmp_path / 'larger'}"))
    assert "expected pictures of 16x16" in sized
    assert "have 24x20. Use --resize" in sized
    (path,) = (cache_root(labeled_config(str(bars), color_config)) / "classifiers").glob(
        f"{bars.name}-classifier-*.npz"
    )
    path.write_bytes(path.read_bytes()[:1000])
    damaged = one_line(cli(*evaluate, f"--features_from={bars}", "--num=200"))
    path.unlink()
    assert re.search(r"-classifier-\w+\.npz' is damaged \(.*\)\. Remove the file", damaged)


def test_archive_with_a_labels_file_stands_for_its_classes(tmp_path, small_config):
    files = {"1.png": png(1), "2.png": png(2), "labels.csv": "file,label\n1.png,b\n2.png,a\n"}
    path = archive(tmp_path / "labeled.zip", files)
    labeled = labeled_config(str(path), small_config(channels="3"))
    assert (labeled.class_names, labeled.data_dir, labeled.channels) == (("a", "b"), str(path), "3")


@pytest.mark.parametrize(("of_run", "of_pictures", "expected"), [("4", "auto", "4"), ("3", "4", "3"), ("4", "1", "4")])
def test_classifier_sees_transparency_if_the_run_has_it(tmp_path, small_config, of_run, of_pictures, expected):
    path = archive(tmp_path / "labeled.zip", {"a/1.png": png(1), "b/2.png": png(2)})
    settings = small_config(dataset="folder", data_dir=str(path), split="train", channels=of_pictures)
    Run(tmp_path, settings).save_config()
    assert labeled_config(str(tmp_path), small_config(channels=of_run)).channels == expected


def test_errors_in_the_labeled_pictures_name_the_setting_that_they_come_from(color_config, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "labeled" / name).mkdir(parents=True)
        Image.new("RGB", (16, 16), "red").save(tmp_path / "labeled" / name / "0.png")
        (tmp_path / "labeled" / name / "1.png").write_bytes(b"no picture")
    labeled = dataclasses.replace(labeled_config(str(tmp_path / "labeled"), color_config), cache_dir=str(tmp_path))
    with pytest.raises(UserError, match=r"^`features_from`: 2 of 4 pictures cannot be used"):
        load_labeled_classifier(labeled, color_config.sample_shape)
