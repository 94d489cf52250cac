"""The notebook runs from its first cell to its last, and keeps nothing of the machine that it was written on."""

import json
import re

import pytest

from tests.conftest import ROOT
from tests.docs import commands
from tests.docs.pages import LINK

NOTEBOOK = json.loads((ROOT / "docs" / "tutorial.ipynb").read_text())
SOURCES = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
TEXTS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "markdown"]


def test_outputs_are_cleared():
    assert NOTEBOOK["nbformat"] == 4
    assert len(SOURCES) > 5
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert not cell["metadata"]


def test_cells_compile_and_import_what_is_there_and_installed():
    for source in SOURCES:
        commands.check_imports(source)
        assert not re.search(r"^(?:from|import) (?:tests|docs|export)|sys\.path", source, re.M)


def test_links():
    for text in TEXTS:
        for target in LINK.findall(text):
            assert (ROOT / "docs" / target.partition("#")[0]).exists(), target


def test_commands():
    found = [line for text in TEXTS for line in text.splitlines() if line.startswith("    ")]
    assert len(found) == 4
    for words in commands.split(tuple(line.strip() for line in found)):
        commands.check(words)


@pytest.mark.long
def test_cells_run_in_order(tmp_path, monkeypatch):
    """As a notebook would, with a short training run, outside of the repository."""
    monkeypatch.setenv("DCGAN_TF_TUTORIAL_STEPS", "20")
    monkeypatch.delenv("DCGAN_TF_TUTORIAL_RUN", raising=False)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for number, source in enumerate(SOURCES, start=1):
        exec(compile(source, f"cell {number}", "exec"), names)
    assert (names["result"].step, names["exported"].shape) == (20, (4, 28, 28, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
