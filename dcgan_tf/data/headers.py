"""The common size of pictures and their channels, from the headers of their files."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import TypeVar

from PIL import Image

from dcgan_tf.data.colors import is_gray
from dcgan_tf.data.pictures import BadPictureError, upright_size

Opener = Callable[[], Image.Image]
Fact = TypeVar("Fact")


class HeaderFacts:
    """What sources of picture files know about their pictures without decoding them; damaged files are left out."""

    def _openers(self) -> Iterator[Opener]:
        """Opens every picture."""
        raise NotImplementedError

    def _sampled_openers(self) -> Iterator[Opener]:
        """Opens the few pictures that show whether all have the same size."""
        raise NotImplementedError

    @functools.cached_property
    def _common_size(self) -> tuple[int | None, int | None]:
        sizes = set(_of_headers(self._sampled_openers(), upright_size))
        return sizes.pop() if len(sizes) == 1 else (None, None)

    @property
    def height(self) -> int | None:
        """The common height of the upright pictures in pixels, or None if they differ."""
        return self._common_size[0]

    @property
    def width(self) -> int | None:
        """The common width of the upright pictures in pixels, or None if they differ."""
        return self._common_size[1]

    @functools.cached_property
    def channels(self) -> int:
        """1 if every picture is gray, else 3. Reads headers until it finds a picture in color."""
        return 1 if all(_of_headers(self._openers(), is_gray)) else 3


def _of_headers(openers: Iterator[Opener], fact: Callable[[Image.Image], Fact]) -> Iterator[Fact]:
    for opener in openers:
        found = []
        with contextlib.suppress(BadPictureError), opener() as picture:
            found.append(fact(picture))
        yield from found
