"""Each measure against a case whose answer is known."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from dcgan_tf.errors import UserError
from dcgan_tf.metrics.frechet import (
    Moments,
    extrapolated_frechet_distance,
    frechet_distance,
    frechet_distance_of_moments,
    frechet_standard_error,
    moments,
)
from dcgan_tf.metrics.kernel import kernel_distance, squared_discrepancy


def draw(seed, samples, features=4, mean=0.0, deviation=1.0):
    return np.random.default_rng(seed).normal(mean, deviation, (samples, features))


def test_frechet_of_gaussians_has_a_closed_form():
    # Diagonal covariances: the sum over axes of (m1 - m2)^2 + (s1 - s2)^2.
    a = Moments(np.array([0.0, 1.0, 2.0]), np.diag([1.0, 4.0, 9.0]))
    b = Moments(np.array([3.0, 1.0, 0.0]), np.diag([4.0, 1.0, 9.0]))
    assert frechet_distance_of_moments(a, b) == pytest.approx(9 + 4 + 1 + 1, abs=1e-12)


def test_frechet_of_correlated_gaussians_agrees_with_scipy():
    a, b = draw(0, 50, 6) @ draw(1, 6, 6), draw(2, 80, 6) @ draw(3, 6, 6) + 0.5
    covariances = np.cov(a.T), np.cov(b.T)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(
        covariances[0] + covariances[1] - 2 * sqrtm(covariances[0] @ covariances[1]).real
    )
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)


def test_frechet_of_a_set_with_itself_is_zero_even_where_a_feature_is_constant():
    a = draw(0, 100).astype(np.float32)
    a[:, 0] = 7
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-6)


def test_frechet_standard_error_matches_the_spread_over_repeated_draws():
    pairs = [(draw(2 * i, 400), draw(2 * i + 1, 300, mean=0.5)) for i in range(200)]
    spread = np.std([frechet_distance(a, b) for a, b in pairs])
    assert np.mean([frechet_standard_error(a, b) for a, b in pairs]) == pytest.approx(spread, rel=0.15)


def test_moments_are_numpys():
    a = draw(0, 30)
    np.testing.assert_allclose(moments(a).mean, a.mean(0))
    np.testing.assert_allclose(moments(a).covariance, np.cov(a.T))


def test_kernel_of_a_few_points_by_hand():
    # One feature, so the kernel is (xy + 1)^3: within a: (0*1+1)^3 = 1; within b: (2*1+1)^3 = 27;
    # between: 1, 1, (1*2+1)^3 = 27, (1*1+1)^3 = 8, mean 37/4.
    a, b = np.array([[0.0], [1.0]]), np.array([[2.0], [1.0]])
    assert squared_discrepancy(a, b) == pytest.approx(1 + 27 - 2 * 37 / 4)


def test_kernel_of_gaussians_has_a_closed_form():
    # E (xy + 1)^3 for independent x, y is a sum over raw moments: the distance is the sum of c_j (m_j - n_j)^2.
    first, second = (0.0, 1.0, 0.0), (0.5, 0.25 + 1.0, 0.125 + 1.5)
    expected = sum(c * (m - n) ** 2 for c, m, n in zip((3, 3, 1), first, second, strict=True))
    estimate = kernel_distance(draw(0, 10_000, 1), draw(1, 10_000, 1, mean=0.5))
    assert abs(estimate.value - expected) < 4 * estimate.standard_error
    assert estimate.standard_error < 0.1 * expected


def test_kernel_is_unbiased():
    # Small sets of one distribution: a biased estimate would be far above zero.
    values = [squared_discrepancy(draw(2 * i, 10), draw(2 * i + 1, 10)) for i in range(3000)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


def planted_classes(seed, samples):
    """Ten classes far apart, sorted by class like folders of pictures."""
    centers = 3 * np.random.default_rng(99).normal(size=(10, 4))
    return np.repeat(centers, samples // 10, axis=0) + draw(seed, samples, deviation=0.3)


@pytest.mark.parametrize("samples", [1000, 400])
@pytest.mark.parametrize("sorted_alike", [True, False])
def test_distances_do_not_need_shuffled_rows(sorted_alike, samples):
    # Perfect generators. Unshuffled blocks would hold one class each: distances up to 2,000, 200 times the error.
    shuffle = np.random.default_rng(0).permutation
    pairs = [(planted_classes(2 * i, 1000), planted_classes(2 * i + 1, samples)) for i in range(20)]
    mixed = [(shuffle(real), shuffle(fake)) for real, fake in pairs]
    ordered = pairs if sorted_alike else [(real, shuffle(fake)) for real, fake in pairs]
    for measure in (frechet_standard_error, lambda a, b: kernel_distance(a, b).standard_error):
        errors, expected = (np.mean([measure(a, b) for a, b in sets]) for sets in (ordered, mixed))
        assert 0.5 < errors / expected < 2
    values, errors = np.transpose([kernel_distance(a, b) for a, b in ordered])
    assert (np.abs(values) < 4 * errors).all()


def test_kernel_of_disjoint_sets_is_large():
    estimate = kernel_distance(draw(0, 500), draw(1, 500, mean=5))
    assert estimate.value > 20 * estimate.standard_error


@pytest.mark.parametrize(
    ("metric", "minimum"), [(frechet_distance, 2), (frechet_standard_error, 20), (kernel_distance, 100)]
)
def test_too_few_samples_says_the_minimum(metric, minimum):
    metric(draw(0, minimum), draw(1, minimum))
    with pytest.raises(UserError, match=f"at least {minimum} samples. Received: {minimum - 1}"):
        metric(draw(0, minimum), draw(1, minimum - 1))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused(value):
    broken = draw(0, 100)
    broken[[3, 7], 1] = value
    with pytest.raises(UserError, match="2 of 100 samples have features that are not finite, the first at 3"):
        frechet_distance(draw(1, 100), broken)


def test_features_of_different_networks_are_refused():
    with pytest.raises(UserError, match=r"of one network. Received: \(100, 5\)"):
        kernel_distance(draw(0, 100, 4), draw(0, 100, 5))


def test_extrapolation_takes_the_bias_of_few_samples_away():
    # Standard normals: the distance of infinitely many samples is 0 here, and 16 * 0.5^2 = 4 if the means differ.
    for mean, expected in ((0.0, 0.0), (0.5, 4.0)):
        pairs = [(draw(2 * i, 200, 16), draw(2 * i + 1, 200, 16, mean=mean)) for i in range(40)]
        plain = np.array([frechet_distance(a, b) for a, b in pairs])
        extrapolated = np.array([extrapolated_frechet_distance(a, b) for a, b in pairs])
        error = extrapolated.std() / np.sqrt(len(pairs))
        assert plain.mean() - expected > 5 * error
        assert abs(extrapolated.mean() - expected) < 4 * error + 0.02 * plain.mean()
        # So the standard error of the plain distance also serves for the extrapolated one.
        assert extrapolated.std() < 1.25 * plain.std()


def test_extrapolation_needs_twice_as_many_samples_as_features():
    extrapolated_frechet_distance(draw(0, 42, 16), draw(1, 42, 16))
    with pytest.raises(UserError, match=r"at least 42 samples\. Received: 41"):
        extrapolated_frechet_distance(draw(0, 41, 16), draw(1, 42, 16))
