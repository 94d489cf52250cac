"""License, citation and changelog have the form that tools expect."""

import hashlib
import re

import yaml

import dcgan_tf
from tests.conftest import ROOT

try:
    import tomllib
except ImportError:  # Before Python 3.11, by mypy
    import tomli as tomllib

APACHE_2_SHA256 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
CHANGES = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_licence_is_apache_2_to_the_letter():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE_2_SHA256


def test_citation_has_what_the_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == "Apache-2.0"
    assert citation["version"] == dcgan_tf.__version__


def test_changelog_keeps_its_form():
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    releases = [line for line in lines if line.startswith("## ")]
    assert releases[0] == "## [Unreleased]"
    for release in releases[1:]:
        assert re.fullmatch(r"## \[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release)
    assert {line[4:] for line in lines if line.startswith("### ")} <= CHANGES


def test_bundled_data_name_their_authors_and_licence():
    text = (ROOT / "dcgan_tf" / "data" / "mnist" / "ATTRIBUTION.md").read_text()
    assert "LeCun" in text
    assert "Attribution-ShareAlike" in text
    for path in (ROOT / "dcgan_tf" / "data" / "mnist").glob("*.gz"):
        assert path.name in text


def workflow():
    return yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def test_workflow_runs_everything_on_the_oldest_and_the_newest_python():
    jobs = workflow()["jobs"]
    versions = jobs["tests"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    claimed = [line.split(" :: ")[-1] for line in project["classifiers"] if re.search(r"Python :: 3\.\d", line)]
    assert versions == [project["requires-python"].removeprefix(">="), claimed[-1]]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert ".ci/run" in commands
    for words in (command.split() for command in commands):
        for word in words:
            if word.endswith((".txt", ".py")):
                assert (ROOT / word).is_file(), word


def test_extras_have_their_lists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["dynamic"][
        "optional-dependencies"
    ]
    files = {name for extra in extras.values() for name in extra["file"]}
    assert files == {f"requirements/{path.name}" for path in (ROOT / "requirements").glob("*.txt")}


def test_hooks_are_the_checks_of_ci():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    checks = [line.replace(" --check .", "").removesuffix(" .") for line in script if line.split()[:1] != ["python"]]
    tools = [
        line for line in checks if line.split()[:1] and line.split()[0] in ("ruff", "codespell", "mypy", "lint-imports")
    ]
    assert sorted(hook["entry"] for hook in hooks) == sorted(tools)


def test_forms_of_issues_have_what_github_requires():
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"))
    assert len(forms) == 2
    for form in forms:
        content = yaml.safe_load(form.read_text())
        assert {"name", "description", "body"} <= set(content)
        names = [field["id"] for field in content["body"]]
        assert len(set(names)) == len(names)
        for field in content["body"]:
            assert field["type"] in ("textarea", "input")
            assert field["attributes"]["label"]


def test_image_copies_what_is_there():
    """The image itself cannot be built here: this only compares the file with the project."""
    text = (ROOT / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", text, re.M) for name in line.split()]
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == kept
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"]} <= kept
    (python,) = re.findall(r"^ARG PYTHON=(\S+)$", text, re.M)
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]
    for extra in re.findall(r"EXTRA=(\w+)", text):
        assert (ROOT / "requirements" / f"{extra}.txt").is_file()
