import numpy as np
import pytest

from dcgan_tf import load_generator

# In gray levels, from 0 to 255.
RECOVERED = 2.0


@pytest.fixture(scope="module")
def generator(run_dir):
    return load_generator(run_dir)


@pytest.mark.parametrize("feature_weight", [0.0, 0.1])
def test_an_image_that_the_generator_made_is_recovered(generator, feature_weight):
    image = generator.sample([11])[0]
    found = generator.project(image, steps=200, feature_weight=feature_weight)
    assert found.median_pixel_error <= RECOVERED
    np.testing.assert_array_equal(found.image, generator.decode(found.z[None])[0])
    difference = found.image.astype(float) - image
    assert found.pixel_distance == pytest.approx(np.sqrt((difference**2).mean()) / 255)
    assert np.isnan(found.feature_distance) == (feature_weight == 0)
    # Another image is not that near, so the bound says something.
    other = np.median(np.abs(generator.sample([12])[0].astype(float) - image))
    assert other > 5 * RECOVERED


@pytest.mark.parametrize("seed", [0, 11])
def test_a_projection_does_not_start_at_its_answer(generator, seed):
    image = generator.sample([seed])[0]
    found = generator.project(image, steps=1, restarts=2, seed=seed, feature_weight=0)
    assert np.abs(found.z - generator.latents([seed])[0]).max() > 0.5
    assert found.median_pixel_error > RECOVERED


def test_more_steps_come_nearer(generator):
    image = generator.sample([13])[0]
    few, many = (generator.project(image, steps=steps, feature_weight=0).pixel_distance for steps in (3, 60))
    assert many < few


def test_same_seed_same_latent(generator):
    image = generator.sample([14])[0]
    first, again, other = (
        generator.project(image, steps=5, restarts=2, seed=seed, feature_weight=0).z for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
