"""Reads the project's Markdown: code blocks, code within a line, links, headings."""

import dataclasses
import pathlib
import re

from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("dcgan_tf/data/*/*.md")])
FENCE = re.compile(r"^```(\w*)$")
LIST_ITEM = re.compile(r"^(\d+\.|-) ")
HEADING = re.compile(r"^#{1,6} (.+)$")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
SPAN = re.compile(r"`([^`\n]+)`")


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block: where it is, the language of its fence ("" for an indented one), and its lines."""

    page: pathlib.Path
    line: int
    language: str
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclasses.dataclass(frozen=True)
class Page:
    """A page in parts: code blocks, and the lines outside of them with code spans still in place."""

    path: pathlib.Path
    blocks: tuple[Block, ...]
    prose: tuple[tuple[int, str], ...]

    @property
    def spans(self) -> list[tuple[int, str]]:
        """The (line, text) of each span between single backticks, including one that is broken over two lines."""
        text = "\n".join(line for _, line in self.prose)
        numbers = [number for number, _ in self.prose]
        found = re.finditer(r"(?<!`)`([^`]+)`(?!`)", text)
        return [(numbers[text[: match.start()].count("\n")], " ".join(match[1].split())) for match in found]

    @property
    def links(self) -> list[tuple[int, str]]:
        """The (line, target) of each link and image."""
        return [(number, target) for number, line in self.prose for target in LINK.findall(SPAN.sub("", line))]

    @property
    def anchors(self) -> set[str]:
        """GitHub's names for the headings."""
        names: dict[str, int] = {}
        anchors = set()
        for _, line in self.prose:
            if match := HEADING.match(line):
                text = LINK.sub("", match[1]).lower()
                name = re.sub(r"[^\w\- ]", "", text).strip().replace(" ", "-")
                anchors.add(f"{name}-{names[name]}" if name in names else name)
                names[name] = names.get(name, 0) + 1
        return anchors


def read_page(path: pathlib.Path) -> Page:
    """Takes a page apart."""
    blocks: list[Block] = []
    prose: list[tuple[int, str]] = []
    current: list[str] = []
    start, language, fenced, in_list, before = 0, "", False, False, ""

    def close() -> None:
        while current and not current[-1]:
            current.pop()
        if current:
            blocks.append(Block(path, start, language, tuple(current)))
        current.clear()

    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if match := FENCE.match(line.strip()):
            close()
            fenced, start, language = not fenced, number + 1, match[1]
        elif fenced:
            current.append(line)
        elif line.startswith("    ") and not in_list and (current or not before.strip()):
            start = start if current else number
            language = ""
            current.append(line[4:])
        elif not line and current:
            current.append("")
        else:
            close()
            if line and not line.startswith(" "):
                in_list = bool(LIST_ITEM.match(line))
            prose.append((number, line))
        before = line
    close()
    return Page(path, tuple(blocks), tuple(prose))
