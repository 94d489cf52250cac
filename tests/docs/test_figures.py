"""Checks what the figures of docs/how-it-works.md claim, without drawing or training."""

import importlib

import numpy as np
import pytest

from dcgan_tf.config.making import make_config
from dcgan_tf.models.configured import configured_discriminator, configured_generator
from docs.figures import FIGURES, architecture, checkerboards, convolution, failures, gradients
from tests.conftest import ROOT, SMALL


@pytest.mark.parametrize("name", FIGURES)
def test_each_figure_has_a_module_and_a_place_on_the_page(name):
    assert callable(importlib.import_module(f"docs.figures.{name}").draw)
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    assert f"    python -m docs.figures {name}\n" in page
    assert f"(images/how-it-works/{name}" in page


def test_gradients_are_those_of_the_formulas():
    logits = np.array([-3.0, 0.5], np.float32)
    probabilities = 1 / (1 + np.exp(-logits))
    np.testing.assert_allclose(gradients.values_and_gradients("minimax", logits)[1], -probabilities, rtol=1e-5)
    _, gradient = gradients.values_and_gradients("non_saturating", logits)
    np.testing.assert_allclose(gradient, probabilities - 1, rtol=1e-5)


def test_convolution_is_the_matrix_and_its_transpose_goes_back():
    matrix = convolution.convolution_matrix()
    assert matrix.shape == (4, 16)
    assert np.count_nonzero(matrix) == 36
    images = np.random.default_rng(0).integers(-5, 6, (3, 4, 4)).astype(np.float32)
    outputs = convolution.convolve(images)
    np.testing.assert_array_equal(outputs.reshape(3, 4), images.reshape(3, 16) @ matrix.T)
    back = convolution.convolve_transposed(outputs)
    np.testing.assert_array_equal(back.reshape(3, 16), outputs.reshape(3, 4) @ matrix)


def test_only_a_kernel_that_the_stride_divides_covers_evenly():
    assert set(checkerboards.coverage(5).ravel()) == {9, 6, 4}
    assert set(checkerboards.coverage(4).ravel()) == {4}
    assert set(checkerboards.coverage_of_resizing(5).ravel()) == {25}


def test_share_of_the_finest_patterns():
    rows, columns = np.indices((28, 28))
    board = (255 * ((rows + columns) % 2)).astype(np.uint8)
    stripes = (255 * (rows % 2)).astype(np.uint8)
    wave = (127 + 100 * np.sin(2 * np.pi * columns / 14)).astype(np.uint8)
    assert checkerboards.finest_share(board[None, ..., None]) == pytest.approx(1)
    assert checkerboards.finest_share(stripes[None, ..., None]) == pytest.approx(1)
    assert checkerboards.finest_share(wave[None, ..., None]) < 1e-4


def test_diagrams_follow_the_networks():
    config = make_config({"image_size": "28", "channels": "1"})
    generator = architecture.stages(configured_generator(config, seed=0))
    assert [stage.shape for stage in generator] == [
        (100,),
        (4096,),
        (4, 4, 256),
        (7, 7, 128),
        (14, 14, 64),
        (28, 28, 1),
    ]
    assert generator[2].followers == ["BatchNorm", "ReLU"]
    assert generator[-1].followers == ["tanh"]
    discriminator = architecture.stages(configured_discriminator(config, seed=0))
    assert discriminator[1].followers == ["LeakyReLU 0.2"]
    assert discriminator[2].followers == ["BatchNorm", "LeakyReLU 0.2"]
    assert [stage.operation for stage in discriminator[-2:]] == ["flatten", "linear"]


@pytest.mark.parametrize("title", failures.TRAININGS)
def test_trainings_of_the_figure_are_ones_that_can_be_typed(title):
    config = make_config({**failures.BASE, **failures.TRAININGS[title]})
    assert config.steps % config.log_every == 0


@pytest.mark.long
def test_a_training_of_the_figure_is_watched_by_the_monitor():
    typed = {**SMALL, "steps": 4, "log_every": 2}
    outcome = failures.watch(typed)
    assert [record["step"] for record in outcome.records] == [2, 4]
    assert {"loss/generator", "diagnosis/diversity"} <= set(outcome.records[0])
    assert outcome.samples.shape == (64, 16, 16, 1)
