import itertools

import pytest

from dcgan_tf.config import plan


@pytest.mark.parametrize(
    ("size", "base", "blocks"),
    [
        ((16, 16), (4, 4), 2),
        ((28, 28), (4, 4), 3),
        ((32, 32), (4, 4), 3),
        ((64, 64), (4, 4), 4),
        ((128, 128), (4, 4), 5),
        ((256, 256), (4, 4), 6),
        ((48, 96), (6, 12), 3),
        ((30, 30), (4, 4), 3),
        ((50, 30), (7, 4), 3),
        ((96, 48), (12, 6), 3),
        ((20, 20), (5, 5), 2),
        ((32, 256), (4, 32), 3),
    ],
)
def test_known_plans(size, base, blocks):
    found = plan.plan_blocks(*size)
    assert (found.base, found.blocks, found.sizes[-1]) == (base, blocks, size)


def test_every_size_is_reached_by_doublings_that_lose_at_most_a_pixel():
    for height in range(16, 257, 5):
        for width in range(16, 257, 3):
            found = plan.plan_blocks(height, width)
            assert min(found.base) in range(4, 8)
            assert found.sizes[-1] == (height, width)
            for smaller, larger in itertools.pairwise(found.sizes):
                for small, large in zip(smaller, larger, strict=True):
                    assert 2 * small - large in (0, 1)


def test_a_given_number_of_blocks_rounds_up():
    assert plan.plan_blocks(28, 28, 3).sizes == ((4, 4), (7, 7), (14, 14), (28, 28))
    assert plan.plan_blocks(50, 30, 2).sizes == ((13, 8), (25, 15), (50, 30))
    assert plan.plan_blocks(28, 28, 4).base == (2, 2)
    with pytest.raises(ValueError, match="28 pixels can be halved at most 4 times, not 5"):
        plan.plan_blocks(28, 28, 5)
    with pytest.raises(ValueError, match="from 16 to 256"):
        plan.plan_blocks(300, 28, 2)


@pytest.mark.parametrize("size", [(15, 15), (1, 1), (1000, 1000), (48, 300), (8, 64)])
def test_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="expected sides from 16 to 256 pixels"):
        plan.plan_blocks(*size)


def test_sizes_are_read_and_written():
    assert plan.parse_size("64") == (64, 64)
    assert plan.parse_size("48X96") == (48, 96)
    assert plan.format_size(64, 64) == "64"
    assert plan.format_size(48, 96) == "48x96"
    for text in ("", "x", "64x", "1x2x3", "6.4", "-64", "²"):
        with pytest.raises(ValueError, match="such as 64"):
            plan.parse_size(text)
    assert str(plan.plan_blocks(28, 28)) == "4x4 -> 7x7 -> 14x14 -> 28x28"
