"""License, citation and changelog have the form that tools expect."""

import hashlib
import re

import yaml

import dcgan_tf
from tests.conftest import ROOT

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
