"""Which image sizes can be built, and from how many blocks. Free of TensorFlow, so that a flag is checked at once."""

import dataclasses

MIN_SIZE = 16
MAX_SIZE = 256
# The short side of the generator's first feature map; the long side may be as much longer as the image is. The smaller
# it is, the more of the image a position of the discriminator's last feature map sees: of 28x28 pixels 22x22 with a map
# of 4x4 and kernels of 4, but only 10x10 with one of 7x7, which is too little to tell whether a digit is whole.
MIN_AUTOMATIC_BASE = 4
MIN_BASE = 2


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
        blocks: doublings; each cuts the image's size in half, rounded up. 0: as many as leave a base of at least 4
            pixels on its short side.

    Returns:
        The plan.

    Raises:
        ValueError: no plan reaches this size. The message says what can be built.
    """
    if min(height, width) < MIN_SIZE or max(height, width) > MAX_SIZE:
        raise ValueError(f"expected sides from {MIN_SIZE} to {MAX_SIZE} pixels")
    most = _most_halves(min(height, width), MIN_BASE)
    if blocks > most:
        raise ValueError(f"{format_size(height, width)} pixels can be halved at most {most} times, not {blocks}")
    sizes = [(height, width)]
    for _ in range(blocks or _most_halves(min(height, width), MIN_AUTOMATIC_BASE)):
        height, width = -(-height // 2), -(-width // 2)
        sizes.insert(0, (height, width))
    return BlockPlan(tuple(sizes))


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


def exact_halves(height: int, width: int) -> int:
    """The number of blocks of a run whose configuration leaves it open: once it was as many as halve without a rest."""
    blocks = 0
    while height % (2 << blocks) == width % (2 << blocks) == 0 and min(height, width) >> (blocks + 1) >= 4:
        blocks += 1
    return blocks


def _most_halves(side: int, smallest: int) -> int:
    halves = 0
    while (half := -(-side // 2)) >= smallest:
        side, halves = half, halves + 1
    return halves
