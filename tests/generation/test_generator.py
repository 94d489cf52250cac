import doctest
import shutil

import keras
import numpy as np
import pytest

import dcgan_tf
from dcgan_tf import load_generator
from dcgan_tf.errors import UserError
from dcgan_tf.generation import generator as module
from dcgan_tf.generation.networks import load_networks
from dcgan_tf.generation.sampling import generate, slerp
from dcgan_tf.models import configured
from dcgan_tf.runs.run_directory import load_run


@pytest.fixture(scope="module")
def generator(run_dir):
    return load_generator(run_dir)


def test_docstring_example(run_dir):
    example = doctest.DocTestFinder().find(module.load_generator, globs={"PATH": run_dir})[0]
    assert doctest.DocTestRunner().run(example) == doctest.TestResults(failed=0, attempted=7)


def test_run_and_export_and_version_are_the_same_networks(run_dir, generator):
    for path in (run_dir / "saved_model", run_dir / "saved_model" / "1"):
        exported = load_generator(path)
        assert exported.digest == generator.digest
        for ours, theirs in ((exported.network, generator.network), (exported.discriminator, generator.discriminator)):
            for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["run", "export"])
def test_the_discriminator_is_built_once_it_is_asked_for_and_an_optimizer_never(run_dir, monkeypatch, kind):
    built = []
    for name in ("build_generator", "build_discriminator"):
        build = getattr(configured, name)
        monkeypatch.setattr(
            configured, name, lambda *sizes, build=build, **options: [built.append(build), build(*sizes, **options)][1]
        )
    monkeypatch.setattr(keras.optimizers.Optimizer, "__init__", lambda *_, **__: pytest.fail("an optimizer is built"))
    generator = load_generator(run_dir if kind == "run" else run_dir / "saved_model")
    generator.sample([0])
    assert [build.__name__ for build in built] == ["build_generator"]
    for _ in range(2):
        assert generator.discriminator is not None
    assert [build.__name__ for build in built] == ["build_generator", "build_discriminator"]


def test_samples_are_those_of_training(run_dir, generator):
    networks = load_networks(load_run(run_dir))
    np.testing.assert_array_equal(generator.sample(range(40)), generate(networks.generator, range(40)))


def test_an_image_does_not_depend_on_what_else_was_asked_for(generator):
    many = generator.sample(range(70), psi=0.7)
    np.testing.assert_array_equal(generator.sample([69, 3], psi=0.7), many[[69, 3]])


def test_psi_scales_the_latents(generator):
    np.testing.assert_allclose(generator.latents([5], psi=0.5), 0.5 * generator.latents([5]))
    assert (generator.sample([1, 2], psi=0) == generator.sample([3, 3], psi=0)).all()


def test_interpolation_passes_the_seeds_images(generator):
    images = generator.interpolate([3, 1, 2], steps=4)
    np.testing.assert_array_equal(images[::4], generator.sample([3, 1, 2]))
    a, b = generator.latents([3]), generator.latents([1])
    between = slerp(a, b, np.float32([0.25])).numpy()
    np.testing.assert_array_equal(images[1], generator.decode(between)[0])


def test_conditional(conditional_run_dir):
    for path in (conditional_run_dir, conditional_run_dir / "saved_model"):
        generator = load_generator(path)
        images = generator.sample([1, 1, 2], labels=[0, 9, 9])
        assert (images[0] != images[1]).any()
        np.testing.assert_array_equal(generator.interpolate([1, 2], 3, label=9)[[0, 3]], images[1:])
        assert generator.project(images[1], steps=2, label=9).image.shape == (16, 16, 3)
        assert generator.principal_directions.vectors.shape == (5, 5)
    for labels in (None, [0, 10], [0, -1], [0], [0.0, 1.0]):
        with pytest.raises(UserError, match="labels"):
            generator.sample([1, 2], labels=labels)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda generator: generator.sample([]), "expected at least one seed"),
        (lambda generator: generator.sample([-1]), "each from 0"),
        (lambda generator: generator.sample([2**63]), "each from 0"),
        (lambda generator: generator.sample([1], labels=[1]), "not conditional"),
        (lambda generator: generator.decode(np.zeros((2, 7))), r"\[N, 8\]"),
        (lambda generator: generator.interpolate([1]), "at least 2 seeds"),
        (lambda generator: generator.project(np.zeros((16, 16, 3), np.uint8)), r"uint8 \[16, 16, 1\]"),
        (lambda generator: generator.project(np.zeros((16, 16, 1))), "Received: float64"),
    ],
)
def test_bad_arguments_are_refused(generator, call, message):
    with pytest.raises(UserError, match=message):
        call(generator)


def test_what_is_no_generator_is_refused(run_dir, tmp_path):
    with pytest.raises(UserError, match="expected the folder of a run"):
        load_generator(tmp_path)
    shutil.copytree(run_dir / "saved_model" / "1", tmp_path / "1")
    (tmp_path / "1" / "assets.extra" / "model.json").unlink()
    with pytest.raises(UserError, match="expected an export of this project"):
        load_generator(tmp_path)


def test_points_have_no_images_to_project(points_run_dir):
    generator = load_generator(points_run_dir)
    assert generator.sample([0, 1]).shape == (2, 2)
    with pytest.raises(UserError, match="makes points"):
        generator.project(np.zeros(2))


def test_the_package_offers_nothing_else_by_name():
    with pytest.raises(AttributeError):
        dcgan_tf.load_generators  # noqa: B018
