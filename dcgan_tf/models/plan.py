"""Which image sizes can be built, and from how many blocks. Free of TensorFlow, so that a flag is checked at once."""

import dataclasses
import itertools

MINIMUM_SIZE = 16
MAXIMUM_SIZE = 256
# The generator's first feature map: its short side is 4 to 7 pixels (4 for 64x64, 7 for 28x28), its long side may
# be as much longer as the image is.
SHORTEST_BASE, LONGEST_BASE = 4, 7


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """How an image of ``height x width`` pixels is reached: a base feature map, doubled ``blocks`` times."""

    base_height: int
    base_width: int
    blocks: int

    def __str__(self) -> str:
        sizes = [f"{self.base_height << block}x{self.base_width << block}" for block in range(self.blocks + 1)]
        return " -> ".join(sizes)


def plan_blocks(height: int, width: int) -> BlockPlan:
    """Finds the block plan of an image size.

    Args:
        height, width: pixels.

    Returns:
        The plan with the most doublings whose base is at least 4 pixels on its short side.

    Raises:
        ValueError: no plan reaches this size. The message names the nearest sizes that can be built.
    """
    plan = _find_plan(height, width)
    if plan is None:
        near = " or ".join(format_size(*size) for size in nearest_sizes(height, width))
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
    while height % 2 == 0 and width % 2 == 0 and min(height, width) // 2 >= SHORTEST_BASE:
        height, width, blocks = height // 2, width // 2, blocks + 1
    return BlockPlan(height, width, blocks) if min(height, width) <= LONGEST_BASE else None
