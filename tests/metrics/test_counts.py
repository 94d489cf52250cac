"""Scores, modes, classes, manifolds and diversity against cases whose answer is known."""

import numpy as np
import pytest

from dcgan_tf.errors import UserError
from dcgan_tf.metrics.arrays import confidence_interval
from dcgan_tf.metrics.class_balance import class_balance
from dcgan_tf.metrics.density_coverage import density_coverage
from dcgan_tf.metrics.diversity import mean_pairwise_distance
from dcgan_tf.metrics.inception_score import inception_score
from dcgan_tf.metrics.modes import count_modes, stacked_modes
from dcgan_tf.metrics.neighbors import count_ball_hits, nearest, neighbor_radii, random_halves
from dcgan_tf.metrics.precision_recall import precision_recall


def gaussians(seed, samples, mean=0.0):
    return np.random.default_rng(seed).normal(mean, 1, (samples, 3))


def test_score_of_certain_and_even_classes_is_their_number():
    # Chance makes the classes of a split of 2,100 a little uneven, which takes (7 - 1) / (2 * 2100) from the entropy.
    estimate = inception_score(np.tile(np.eye(7), (3000, 1)))
    assert estimate.value == pytest.approx(7 * np.exp(-6 / 4200), abs=0.005)
    assert estimate.standard_error < 0.002


def test_score_of_one_class_or_of_no_opinion_is_one():
    assert inception_score(np.tile(np.eye(7)[2], (100, 1))).value == pytest.approx(1)
    assert inception_score(np.full((100, 7), 1 / 7)).value == pytest.approx(1)


def test_score_by_hand():
    # Two kinds of rows, equally often: the marginal is (.5, .5), each KL log 2 - H(.9).
    expected = 2 * np.exp(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert inception_score(np.tile([[0.9, 0.1], [0.1, 0.9]], (5000, 1))).value == pytest.approx(expected, rel=1e-3)


def test_score_does_not_need_shuffled_rows():
    # In the order of their classes, each of ten splits would hold one class only, and score 1.
    sorted_by_class = inception_score(np.repeat(np.eye(10), 1000, axis=0))
    assert sorted_by_class.value == pytest.approx(10 * np.exp(-9 / 2000), abs=0.01)
    assert sorted_by_class.standard_error < 0.01


def test_score_is_of_splits():
    # Each split has ten samples, each sure of its own class, and scores 10; all of them together would score 100.
    assert inception_score(np.eye(100, 1000)).value == pytest.approx(10)


def test_modes_counted_by_hand():
    modes = count_modes(np.array([0, 0, 0, 2]), total=4)
    assert modes.found == 2
    # The last term corrects the bias: (modes seen - 1) / (2 * samples).
    assert modes.kl.value == pytest.approx(np.log(4) + 0.75 * np.log(0.75) + 0.25 * np.log(0.25) - 1 / 8)


def test_modes_all_even_and_one_only():
    every = count_modes(np.arange(10**6) % 1000, total=1000)
    assert (every.found, every.total) == (1000, 1000)
    assert every.kl.value == pytest.approx(0, abs=1e-3)
    one = count_modes(np.full(10, 5), total=1000)
    assert one.found == 1
    assert one.kl.value == pytest.approx(np.log(1000))


@pytest.mark.parametrize("shares", [np.full(1000, 1e-3), np.linspace(1, 3, 1000) / 2000], ids=["even", "uneven"])
def test_entropy_of_few_samples_has_no_bias(shares):
    draws = [np.random.default_rng(i).choice(1000, 10_000, p=shares) for i in range(30)]
    entropy = -(shares @ np.log(shares))
    # The entropy of the counted shares alone is 0.05 too small.
    assert np.mean([class_balance(draw, 1000).entropy.value for draw in draws]) == pytest.approx(entropy, abs=2e-3)
    assert np.mean([count_modes(draw, 1000).kl.value for draw in draws]) == pytest.approx(
        np.log(1000) - entropy, abs=2e-3
    )


def test_stacked_digits_make_a_thousand_modes():
    digits = np.array([[1, 2, 3], [0, 0, 0], [9, 9, 9]])
    np.testing.assert_array_equal(stacked_modes(digits), [123, 0, 999])


def test_entropy_error_matches_the_spread_over_repeated_draws():
    shares = [0.7, 0.2, 0.1]
    draws = [class_balance(np.random.default_rng(i).choice(3, 500, p=shares), 3).entropy for i in range(300)]
    assert np.mean([d.standard_error for d in draws]) == pytest.approx(np.std([d.value for d in draws]), rel=0.15)


def test_class_balance_by_hand():
    balance = class_balance(np.array([0, 0, 1, 1, 3, 3, 3, 3]), classes=5)
    np.testing.assert_array_equal(balance.shares, [0.25, 0.25, 0, 0.5, 0])
    assert balance.missing == (2, 4)
    assert balance.entropy.value == pytest.approx(1.5 * np.log(2) + (3 - 1) / (2 * 8))


def test_numbers_that_are_no_class_are_refused():
    with pytest.raises(UserError, match="from 0 to 4"):
        class_balance(np.array([5]), classes=5)
    with pytest.raises(UserError, match="from 0 to 9"):
        count_modes(np.array([-1]), total=10)


def test_radii_and_hits_on_a_line():
    centers = np.array([[0.0], [1.0], [3.0], [7.0]])
    halves = np.array([[True, False, True, False]])
    np.testing.assert_allclose(neighbor_radii(centers, 1, halves), [[1, 1, 2, 4], [3, 6, 3, 6]])
    np.testing.assert_allclose(neighbor_radii(centers, 2, halves[:0]), [[3, 2, 3, 6]])
    samples = np.array([[-1.0], [2.0], [12.0], [5.5]])
    hits = count_ball_hits(samples, centers, 1)
    np.testing.assert_array_equal(hits.of_sample[0], [1, 2, 0, 1])
    np.testing.assert_array_equal(hits.of_ball[0], [1, 1, 1, 1])
    # Each halving is checked by comparing all of its own pairs.
    for halving, (of_samples, of_balls) in enumerate(zip(hits.sample_halves, hits.ball_halves, strict=True), start=1):
        radii = neighbor_radii(centers, 1, of_balls[None])[1]
        inside = (np.abs(samples - centers.T) <= radii) & (of_samples[:, None] == of_balls)
        np.testing.assert_array_equal(hits.of_sample[halving], inside.sum(1))
        np.testing.assert_array_equal(hits.of_ball[halving], inside.sum(0))


def test_halves_are_equal_and_never_the_same():
    halves = random_halves(41, key=0)
    assert (halves.sum(1) == 20).all()
    assert len(np.unique(halves, axis=0)) == len(halves)
    assert (random_halves(41, key=1) != halves).any()


def test_nearest_on_a_line():
    distances, rows = nearest(np.array([[2.9]]), np.array([[0.0], [1.0], [3.0]]), count=2)
    np.testing.assert_allclose(distances, [[0.1, 1.9]])
    np.testing.assert_array_equal(rows, [[2, 1]])


def test_identical_sets():
    a = gaussians(0, 200)
    assert [estimate.value for estimate in precision_recall(a, a)] == [1, 1]
    density, coverage = density_coverage(a, a)
    assert coverage.value == 1
    # Each ball holds its center and five others, by the definition of its radius.
    assert density.value == pytest.approx(6 / 5)


def test_disjoint_sets():
    a, b = gaussians(0, 200), gaussians(1, 200, mean=100)
    assert [estimate.value for estimate in (*precision_recall(a, b), *density_coverage(a, b))] == [0, 0, 0, 0]


def test_samples_of_half_the_data_are_precise_and_cover_half():
    real = np.concatenate([gaussians(0, 300), gaussians(1, 300, mean=100)])
    fake = gaussians(2, 600)
    precision, recall = precision_recall(real, fake)
    assert precision.value > 0.9
    assert recall.value == pytest.approx(0.5, abs=0.05)
    assert density_coverage(real, fake).coverage.value == pytest.approx(0.5, abs=0.02)


def test_one_sample_far_off_raises_recall_but_not_coverage():
    real, fake = gaussians(0, 300), gaussians(1, 300, mean=100)
    fake[0] = -300  # Nearly every point is nearer to it than its third neighbor is.
    assert precision_recall(real, fake).recall.value == 1
    assert density_coverage(real, fake).coverage.value == 0


def test_coverage_of_like_samples_is_as_expected():
    values = [density_coverage(gaussians(2 * i, 300), gaussians(2 * i + 1, 300)) for i in range(20)]
    assert np.mean([v.coverage.value for v in values]) == pytest.approx(1 - 1 / 2**5, abs=0.01)
    assert np.mean([v.density.value for v in values]) == pytest.approx(1, abs=0.05)


def test_mean_pairwise_distance_by_hand():
    # Half at 0 and half at 3: of 99 others, 50 are at distance 3.
    points = np.repeat([[0.0, 0.0], [3.0, 0.0]], 50, axis=0)
    assert mean_pairwise_distance(points).value == pytest.approx(3 * 50 / 99)
    assert mean_pairwise_distance(np.ones((60, 4))).value == 0


def test_mean_pairwise_distance_of_gaussians_has_a_closed_form():
    # The difference of two has twice the variance: sqrt(2) times the mean of the chi distribution, here of 3 axes.
    estimate = mean_pairwise_distance(gaussians(0, 2000))
    assert abs(estimate.value - np.sqrt(2) * np.sqrt(8 / np.pi)) < 4 * estimate.standard_error


def test_standard_errors_match_the_spread_over_new_draws_of_both_sets():
    def draw(seed):
        real, fake = gaussians(2 * seed, 100), 0.8 * gaussians(2 * seed + 1, 100, mean=0.3)
        return [*precision_recall(real, fake), *density_coverage(real, fake)]

    draws = np.array([draw(seed) for seed in range(60)], np.float64)
    spreads, errors = draws[:, :, 0].std(0, ddof=1), np.sqrt((draws[:, :, 1] ** 2).mean(0))
    # With the balls held fixed, the error would be 0.54 to 0.74 of the spread.
    np.testing.assert_allclose(errors / spreads, 1, atol=0.2)


def test_confidence_interval_by_hand():
    # Student's t with two degrees of freedom: 4.3027 standard errors of 1 / sqrt(3).
    assert confidence_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx(4.3027 / np.sqrt(3), rel=1e-4)


@pytest.mark.parametrize(("metric", "minimum"), [(precision_recall, 50), (density_coverage, 50)])
def test_too_few_samples_says_the_minimum(metric, minimum):
    with pytest.raises(UserError, match=f"at least {minimum} samples. Received: 49"):
        metric(gaussians(0, 200), gaussians(1, 49))


@pytest.mark.parametrize(("metric", "minimum"), [(inception_score, 100), (mean_pairwise_distance, 2)])
def test_too_few_samples_of_one_set(metric, minimum):
    metric(np.full((minimum, 4), 0.25))
    with pytest.raises(UserError, match=f"at least {minimum} samples. Received: {minimum - 1}"):
        metric(np.full((minimum - 1, 4), 0.25))
