"""Which image sizes can be built, and from how many blocks. Free of TensorFlow, so that a flag is checked at once."""

import dataclasses
import itertools

MINIMUM_SIZE = 16
MAXIMUM_SIZE = 256
# The generator's first feature map: its short side is 4 to 7 pixels (4 for 64x64, 7 for 28x28), its long side may
# be as much longer as the image is.
SHORTEST_BASE, LONGEST_BASE = 4, 7
SMALLEST_FORCED_BASE = 2


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """How an image is reached: the (height, width) of each feature map from the base to the image.

    Each is twice the one before, or one pixel less where that is odd.
    """

    sizes: tuple[tuple[int, int], ...]

    @property
    def base(self) -> tuple[int, int]:
        """Of the generator's first feature map."""
        return self.sizes[0]

    @property
    def blocks(self) -> int:
        """How many doublings there are."""
        return len(self.sizes) - 1

    def __str__(self) -> str:
        return " -> ".join(f"{height}x{width}" for height, width in self.sizes)


def plan_blocks(height: int, width: int, blocks: int = 0) -> BlockPlan:
    """Finds the block plan of an image size.

    Args:
        height, width: pixels.
        blocks: doublings; each cuts the image's size in half, rounded up. 0: as many exact halves as leave a base of
            at least 4 pixels on its short side.

    Returns:
        The plan.

    Raises:
        ValueError: no plan reaches this size. The message names what can be built.
    """
    if blocks:
        if min(height, width) < MINIMUM_SIZE or max(height, width) > MAXIMUM_SIZE:
            raise ValueError(f"expected sides from {MINIMUM_SIZE} to {MAXIMUM_SIZE} pixels")
        halves = _halve(height, width, blocks)
        if min(halves.base) < SMALLEST_FORCED_BASE:
            most = (min(height, width) - 1).bit_length() - 1
            raise ValueError(f"{format_size(height, width)} pixels can be halved at most {most} times, not {blocks}")
        return halves
    plan = _find_plan(height, width)
    if plan is None:
        near = " or ".join(format_size(*size) for size in nearest_sizes(height, width))
        if min(height, width) >= MINIMUM_SIZE and max(height, width) <= MAXIMUM_SIZE:
            near += "; or set the number of --blocks, for halves that are rounded up"
        raise ValueError(f"no stack of doubling blocks reaches {format_size(height, width)} pixels; near it are {near}")
    return plan


def nearest_sizes(height: int, width: int, count: int = 2) -> list[tuple[int, int]]:
    """The ``count`` buildable (height, width) nearest to the one given; square ones only for a square."""
    sides = range(MINIMUM_SIZE, MAXIMUM_SIZE + 1)
    candidates = ((s, s) for s in sides) if height == width else itertools.product(sides, sides)
    buildable = [size for size in candidates if _find_plan(*size)]
    return sorted(buildable, key=lambda size: abs(size[0] - height) + abs(size[1] - width))[:count]


def parse_size(text: str) -> tuple[int, int]:
    """Reads ``"64"`` as (64, 64) and ``"48x96"`` as (48, 96), height first.

    Raises:
        ValueError: the text is neither.
    """
    sides = text.lower().split("x")
    if len(sides) not in (1, 2) or not all(side.isascii() and side.isdigit() for side in sides):
        raise ValueError("expected one number of pixels such as 64, or height x width such as 48x96")
    return int(sides[0]), int(sides[-1])


def format_size(height: int, width: int) -> str:
    """The inverse of `parse_size`: ``"64"`` for a square, ``"48x96"`` otherwise."""
    return str(height) if height == width else f"{height}x{width}"


def _find_plan(height: int, width: int) -> BlockPlan | None:
    if min(height, width) < MINIMUM_SIZE or max(height, width) > MAXIMUM_SIZE:
        return None
    blocks = 0
    while (
        height % (2 << blocks) == 0
        and width % (2 << blocks) == 0
        and min(height, width) >> (blocks + 1) >= SHORTEST_BASE
    ):
        blocks += 1
    plan = _halve(height, width, blocks)
    return plan if min(plan.base) <= LONGEST_BASE else None


def _halve(height: int, width: int, blocks: int) -> BlockPlan:
    sizes = [(height, width)]
    for _ in range(blocks):
        height, width = -(-height // 2), -(-width // 2)
        sizes.insert(0, (height, width))
    return BlockPlan(tuple(sizes))
