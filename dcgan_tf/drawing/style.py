"""What all plots share: their colors, and how they become PNG files."""

import io

from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin

from dcgan_tf.data.tree import SOFTWARE

# Colors that people with any color vision can tell apart, by Okabe and Ito (https://jfly.uni-koeln.de/color/).
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)  # In the order in which a plot uses them
GRAY = "#6b7280"
DOTS_PER_INCH = 130
PALETTE_SIZE = 128


def to_png(figure: Figure) -> bytes:
    """A figure as a PNG file with a palette, which takes a third of the size of full color.

    The file is marked as a sheet, so that it is not used as training data; see `is_sheet`.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    with Image.open(buffer, formats=["PNG"]) as picture:
        small = picture.convert("RGB").quantize(PALETTE_SIZE, dither=Image.Dither.NONE)
    mark = PngImagePlugin.PngInfo()
    mark.add_text("Software", SOFTWARE)
    buffer = io.BytesIO()
    small.save(buffer, format="PNG", optimize=True, pnginfo=mark)
    return buffer.getvalue()
