"""Links lead somewhere, pictures are there and not too many, and files that the text names exist."""

import re

import pytest

from tests.conftest import ROOT
from tests.docs.pages import PAGES, read_page

READ = {path.resolve(): read_page(path) for path in PAGES}
IMAGES = ROOT / "docs" / "images"
MAX_IMAGE_BYTES = 2_000_000  # Without GIFs.


@pytest.mark.parametrize("page", READ.values(), ids=lambda page: page.path.name)
def test_links(page):
    for line, target in page.links:
        where = f"{page.path.name}:{line}: {target}"
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.path.parent / path).resolve() if path else page.path.resolve()
        assert linked.exists(), f"{where}: no such file"
        assert linked.is_relative_to(ROOT), f"{where}: outside the project"
        if anchor:
            assert anchor in READ[linked].anchors, f"{where}: no such heading"


@pytest.mark.parametrize("page", READ.values(), ids=lambda page: page.path.name)
def test_files_that_the_text_names(page):
    for line, text in page.spans:
        # Only names with a folder: a bare name may be a file in a run, or in the folder just named.
        if re.fullmatch(r"[\w\-.]+(/[\w\-.]+)+\.(py|md|txt|yaml|config|ipynb)", text) and not text.startswith("runs/"):
            candidates = (ROOT / text, ROOT / "dcgan_tf" / text, page.path.parent / text)
            assert any(path.exists() for path in candidates), f"{page.path.name}:{line}: no file {text}"


def test_pictures_are_used_and_modest():
    used = {(page.path.parent / target).resolve() for page in READ.values() for _, target in page.links}
    pictures = {path for path in IMAGES.rglob("*") if path.is_file()}
    assert pictures <= used, f"in no page: {sorted(path.name for path in pictures - used)}"
    size = sum(path.stat().st_size for path in pictures if path.suffix != ".gif")
    assert size < MAX_IMAGE_BYTES, f"{size:,} bytes of pictures in docs/images"
