import numpy as np
import pytest

from dcgan_tf.generation.directions import fit_direction, measure_along, principal_directions
from dcgan_tf.generation.measures import stroke_thickness
from dcgan_tf.generation.paths import make_path, path_rows

LATENT_DIM = 6


def draw_bars(z):
    """A toy generator whose bars are as wide as one direction of z says: [N, 6] -> uint8 [N, 64, 64, 1]."""
    widths = np.clip(10 + 2 * (0.6 * z[:, 1] - 0.8 * z[:, 4]), 0.5, 30)[:, None, None, None]
    across = np.abs(np.arange(64) - 31.5)[None, None, :, None]
    bars = np.clip(widths / 2 - across + 0.5, 0, 1) * np.ones((1, 64, 1, 1))
    bars[:, :4] = bars[:, -4:] = 0
    return np.rint(255 * bars).astype(np.uint8)


def latents(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, LATENT_DIM)).astype(np.float32)


def test_the_direction_of_a_known_generator_is_found_and_measured():
    z = latents(500)
    fit = fit_direction(z, stroke_thickness(draw_bars(z)))
    np.testing.assert_allclose(fit.vector, [0, 0.6, 0, 0, -0.8, 0], atol=0.03)
    assert fit.explained == pytest.approx(0.98, abs=0.02)
    values = measure_along(draw_bars, stroke_thickness, latents(20, 1), fit.vector, np.arange(-2, 3), "thickness")
    assert values.shape == (5, 20)
    assert (np.diff(values, axis=0) > 0).all()
    # A step along it widens a bar by 2; the bar's finite length of 56 scales the measured change by (56 / 66) ** 2.
    assert np.diff(values, axis=0).mean() == pytest.approx(2 * (56 / 66) ** 2, rel=0.1)


@pytest.mark.parametrize("count", [2 * (LATENT_DIM + 1), 30, 2000])
def test_nothing_is_explained_where_nothing_depends_on_z(count):
    # A fit of 7 numbers to 14 values would explain half of these values.
    fits = [fit_direction(latents(count, seed), np.random.default_rng(seed).normal(size=count)) for seed in range(50)]
    assert np.mean([fit.explained for fit in fits]) < 0.02


def test_each_value_is_predicted_by_a_fit_to_all_others():
    z, values = latents(20), np.random.default_rng(1).normal(size=20) + latents(20)[:, 0]
    errors = []
    for left_out in range(20):
        rows = np.arange(20) != left_out
        weights = np.linalg.lstsq(np.column_stack([z, np.ones(20)])[rows], values[rows], rcond=None)[0]
        errors.append(values[left_out] - z[left_out] @ weights[:-1] - weights[-1])
    assert fit_direction(z, values).explained == pytest.approx(1 - np.mean(np.square(errors)) / values.var(), rel=1e-6)


def test_principal_directions_of_a_linear_layer_are_its_singular_vectors():
    rotation = np.linalg.qr(latents(LATENT_DIM, 2))[0]
    strengths = np.array([9, 5, 3, 1, 0.5, 0.1])
    layer = rotation @ np.diag(strengths) @ np.linalg.qr(np.random.default_rng(3).normal(size=(20, 20)))[0][:LATENT_DIM]
    z = latents(20_000)
    found = principal_directions(z, z @ layer, count=3)
    np.testing.assert_allclose(np.abs(found.vectors @ rotation), np.eye(3, LATENT_DIM), atol=0.03)
    np.testing.assert_allclose(found.shares, strengths[:3] ** 2 / (strengths**2).sum(), rtol=0.05)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, rtol=1e-5)
    largest = np.abs(found.vectors).argmax(1)
    assert (found.vectors[range(3), largest] > 0).all()


@pytest.mark.parametrize("spherical", [True, False])
@pytest.mark.parametrize("closed", [True, False])
def test_path_leads_through_its_stations_in_equal_steps(spherical, closed):
    stations = latents(3)
    path = make_path(stations, 4, spherical=spherical, closed=closed)
    assert path.shape == (12 if closed else 9, LATENT_DIM)
    np.testing.assert_array_equal(path[::4], stations)
    lengths = np.linalg.norm(np.diff(path[:5], axis=0), axis=1)
    if not spherical:
        np.testing.assert_allclose(lengths, np.linalg.norm(stations[1] - stations[0]) / 4, rtol=1e-5)
        np.testing.assert_allclose(path[2], stations[:2].mean(0), rtol=1e-5, atol=1e-6)


def test_half_way_of_orthogonal_stations_on_the_sphere():
    path = make_path(2 * np.eye(2, dtype=np.float32), 2)
    np.testing.assert_allclose(path[1], [2**0.5, 2**0.5], rtol=1e-6)


def test_closed_path_ends_one_step_before_its_beginning():
    stations = latents(2)
    path = make_path(stations, 3, closed=True)
    np.testing.assert_allclose(path[5], path[1], rtol=1e-5)  # The way back passes the same points.


def test_rows_of_a_path_hold_both_stations():
    assert path_rows(np.arange(7), 3).tolist() == [0, 1, 2, 3, 3, 4, 5, 6]
