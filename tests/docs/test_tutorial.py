"""The notebook runs from its first cell to its last, and keeps nothing of the machine that it was written on."""

import ast
import json
import os
import sys

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


def test_cells_compile_and_import_what_is_there():
    for source in SOURCES:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                module = __import__(node.module, fromlist=["*"])
                for name in node.names:
                    assert hasattr(module, name.name), f"{node.module} has no {name.name}"


def test_links():
    for text in TEXTS:
        for target in LINK.findall(text):
            assert (ROOT / "docs" / target.partition("#")[0]).exists(), target


def test_commands():
    found = [line for text in TEXTS for line in text.splitlines() if line.startswith("    ")]
    assert len(found) == 3
    for words in commands.split(tuple(line.strip() for line in found)):
        commands.check(words)


@pytest.mark.long
def test_cells_run_in_order(tmp_path, monkeypatch):
    """As a notebook would, with a short training."""
    monkeypatch.setenv("DCGAN_TF_TUTORIAL_STEPS", "20")
    monkeypatch.setenv("DCGAN_TF_TUTORIAL_RUN", str(tmp_path / "run"))
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.chdir(ROOT / "docs")
    names = {"__name__": "__main__"}
    for number, source in enumerate(SOURCES, start=1):
        exec(compile(source, f"cell {number}", "exec"), names)
    assert os.getcwd() == str(ROOT)
    assert names["served"].shape == (4, 28, 28, 1)
    assert names["files"][0].startswith(b"\x89PNG")
