"""Which image sizes can be built, and from how many blocks. Needs no TensorFlow, so that checks are immediate."""

import dataclasses

MIN_SIZE = 16
MAX_SIZE = 256
# The short side of the generator's first feature map; the long side follows from the image's aspect ratio. The smaller
# the map, the more of the image each position of the discriminator's last feature map sees. For 28x28 pixels and
# kernels of 4, a position of a 4x4 map sees 22x22 pixels. A position of a 7x7 map sees 10x10, too few for a digit.
MIN_AUTOMATIC_BASE = 4
MIN_BASE = 2


@dataclasses.dataclass(frozen=True)
class BlockPlan:
    """The (height, width) of each feature map, from the base to the image.

    Each side is twice the previous one, or one pixel less if the side is odd.
    """

    sizes: tuple[tuple[int, int], ...]

    @property
    def base(self) -> tuple[int, int]:
        """The size of the generator's first feature map."""
        return self.sizes[0]

    @property
    def blocks(self) -> int:
        """The number of doublings."""
        return len(self.sizes) - 1

    def __str__(self) -> str:
        return " -> ".join(f"{height}x{width}" for height, width in self.sizes)


def plan_blocks(height: int, width: int, blocks: int = 0) -> BlockPlan:
    """Finds the block plan of an image size.

    Args:
        height, width: Size of the image in pixels.
        blocks: Number of halvings of the image's size, each rounded up. 0: as many as leave a base of at least 4 pixels
            on its short side.

    Returns:
        The plan.

    Raises:
        ValueError: No plan reaches this size. The message says what can be built.
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
        ValueError: The text has neither form.
    """
    sides = text.lower().split("x")
    if len(sides) not in (1, 2) or not all(side.isascii() and side.isdigit() for side in sides):
        raise ValueError("expected one number of pixels such as 64, or height x width such as 48x96")
    return int(sides[0]), int(sides[-1])


def format_size(height: int, width: int) -> str:
    """The inverse of `parse_size`: ``"64"`` for a square, ``"48x96"`` otherwise."""
    return str(height) if height == width else f"{height}x{width}"


def exact_halves(height: int, width: int) -> int:
    """The number of blocks of an older run that did not record it: as many as halve both sides without remainder."""
    blocks = 0
    while height % (2 << blocks) == width % (2 << blocks) == 0 and min(height, width) >> (blocks + 1) >= 4:
        blocks += 1
    return blocks


def _most_halves(side: int, smallest: int) -> int:
    halves = 0
    while (half := -(-side // 2)) >= smallest:
        side, halves = half, halves + 1
    return halves
