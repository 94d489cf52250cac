"""The prose keeps to plain American English. The spelling of single words is checked by codespell."""

import dataclasses
import re

import pytest

from tests.conftest import ROOT

SUFFIXES = {".cff", ".config", ".html", ".ipynb", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}
FOLDERS = (".ci", ".github", "dcgan_tf", "docs", "export", "requirements", "tests")
# A line break with the indentation, comment sign or quotation marks around it: phrases are found across lines.
LINE_BREAK = re.compile(r'[ \t]*(?:(?:\\n)?"\)?,?)?\n[ \t]*(?:#|f?"(?!""))?[ \t]*')


@dataclasses.dataclass(frozen=True)
class Rule:
    """A phrase that the prose avoids.

    Args:
        pattern: Regular expression of the phrase. Words are separated by a space or a line break.
        better: What to write instead.
        example: A phrase that the pattern must find.
    """

    pattern: str
    better: str
    example: str


# "Images a second" is written "images per second". "Time" is missing: "each time a picture is used".
UNITS = (
    "images|objects|rows|steps|times|once|numbers|bytes?|seconds|minutes|hours|microseconds|milliseconds|ms|us|s|"
    "MiB|GiB|GPUs|files|calls|slower|faster"
)
WHOLES = (
    "second|minute|hour|line|step|epoch|call|image|picture|pixel|batch|class|seed|run|file|node|GPU|row|device|"
    "repetition|data set|message|sum|value|weight"
)
# Nouns with which "a training" continues, as in "a training set".
AFTER_TRAINING = (
    "batch|command|curve|data|digit|example|image|loop|picture|process|run|script|set|split|state|step|time"
)
RULES = (
    Rule(r"(?-i:[Tt]rainings)\b(?!:\w|\.py)", "training runs", "three trainings with one seed"),
    Rule(
        r"(?:an?(?:[ \n](?:longer|new|short))?|another|each|every|first|one|whole)[ \n]training\b"
        rf"(?![ \n-](?:{AFTER_TRAINING}))",
        "a training run, or training without an article",
        "the plots of a training.",
    ),
    Rule(r"beside\b(?![ \n]?[=,})]|\.\w)", "compared with, next to, besides", "the GPU's gradients beside the CPU's"),
    Rule(
        # Variables are called deviation.
        r"(?<!standard[ \n])(?<!Standard[ \n])(?:deviations\b|deviation[ \n](?:is|of|over)\b)",
        "standard deviation",
        "within three deviations of a center",
    ),
    Rule(r"by[ \n]turns\b", "alternately, in turn", "measured by turns"),
    Rule(r"anew\b", "again, from the start", "the optimizers start anew"),
    Rule(rf"(?:{UNITS})[ \n]an?[ \n](?:{WHOLES})\b(?![ \n](?:is|was))", "per", "100 images a second"),
    Rule(
        r"(?:column|file|object|row)[ \n]an?[ \n](?:class|data set|fault|feature|image|line|method|run)\b",
        "per",
        "a JSON object a line",
    ),
    Rule(r"data[ \n](?:are|have|were)\b", "data is, has, was", "the data are points"),
    Rule(r"go(?:es)?[ \n]on\b", "continues", "the run goes on"),
    Rule(r"otherwise[ \n]than\b", "not ... but, differently from", "ended otherwise than with one line"),
    Rule(r"whoever\b", "anyone who, the process that", "whoever waits for it"),
    Rule(r"of[ \n](?:ours|yours)\b", "your ..., our ...", "a picture of yours"),
    Rule(r"afterwards\b", "afterward, later, then", "the server answers afterwards"),
    Rule(r"towards\b", "toward", "trained towards a target"),
    Rule(r"whilst\b", "while", "whilst training"),
    Rule(r"amongst\b", "among", "amongst the images"),
    Rule(r"by[ \n]chance\b", "at random, at chance level", "drawn by chance"),
    Rule(r"stands[ \n]at\b", "scores, is", "the distance stands at 9"),
)
ANY = re.compile(r"(?<![\w{./])(?:" + "|".join(f"({rule.pattern})" for rule in RULES) + ")", re.IGNORECASE)


def find(text: str) -> list[tuple[int, str, str]]:
    """(line, phrase, what to write instead) of every phrase in a text that the prose avoids."""
    text = LINE_BREAK.sub("\n", text)
    return [
        (text.count("\n", 0, match.start()) + 1, " ".join(match[0].split()), RULES[match.lastindex - 1].better)
        for match in ANY.finditer(text)
    ]


def texts():
    """All text files that people write."""
    paths = [*ROOT.iterdir(), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))]
    named = (ROOT / "Dockerfile", ROOT / ".ci" / "run")
    return [path for path in paths if (path.suffix in SUFFIXES or path in named) and path.name != "test_words.py"]


def test_prose_has_no_phrase_that_it_avoids():
    found = [
        f"{path.relative_to(ROOT)}:{line}: {phrase!r}: write {better!r}"
        for path in sorted(texts())
        for line, phrase, better in find(path.read_text())
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.example)
def test_rules_find_their_examples(rule):
    for text in (rule.example, rule.example.replace(" ", "\n    # "), rule.example.replace(" ", ' "\n    f"')):
        assert [better for _, _, better in find(text)] == [rule.better]
    assert not find(rule.better)
