"""Self-contained HTML pages without scripts, from the templates in this folder."""

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

import jinja2

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("dcgan_tf.drawing"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A PNG file that becomes part of the page."""

    png: bytes
    caption: str

    @property
    def source(self) -> str:
        """The file as a URL."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclasses.dataclass(frozen=True)
class Table:
    """A section with a table, whose first column names the rows.

    Attributes:
        title: Heading of the section.
        heads: Name of each column.
        rows: The cells.
        note: What the reader needs to know; may be empty.
        numbers: The columns that hold numbers, which are aligned to the right.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""
    numbers: Sequence[int] = ()

    def kind(self, column: int) -> str:
        """How a column is laid out: "number" (aligned to the right) or "text"."""
        return "number" if column in self.numbers else "text"


def render(template: str, title: str, **values: Any) -> str:
    """A page from a template, such as ``report.html``, and its values. All text is escaped."""
    return _TEMPLATES.get_template(template).render(title=title, **values)
