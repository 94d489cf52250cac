"""The generated pages match what the code would write now."""

import dataclasses

import pytest

from dcgan_tf.config.presets import PRESETS
from dcgan_tf.config.settings import Config
from docs import generate
from tests.conftest import ROOT


@pytest.mark.parametrize("name", generate.PAGES)
def test_page_is_not_stale(name):
    assert (ROOT / "docs" / name).read_text() == generate.PAGES[name](), "stale: run python -m docs.generate"


def test_every_flag_and_preset_is_on_the_page_of_settings():
    page = generate.configuration_page()
    for field in dataclasses.fields(Config):
        assert (f"\n| `--{field.name}` |" in page) == field.metadata["flag"], field.name
    for preset in PRESETS:
        assert f"### `--preset={preset}`" in page


def test_docstrings_become_lists():
    page = generate.api_page()
    assert "#### `frechet_distance(" in page
    assert page.index("### dcgan_tf.api\n") < page.index("### dcgan_tf.generation.generator\n")
    assert "\n- `restarts`: Number of latents that are optimized in parallel; the best one is returned." in page
    assert "`UserError`:" in page
