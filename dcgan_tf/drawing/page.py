"""Self-contained HTML pages without scripts."""

import base64
import html
from collections.abc import Iterable, Sequence
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1a1a1a;
       background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid #ddd; padding: .3rem 1rem .3rem 0; text-align: left; vertical-align: top; }
figure { margin: 0 1rem 1rem 0; display: inline-block; vertical-align: top; }
figcaption, .note { color: #555; font-size: .9rem; }
img { max-width: 100%; height: auto; }
"""


def page(title: str, sections: Iterable[str]) -> str:
    """A page from sections of HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{text(title)}</h1>\n"
        + "\n".join(section for section in sections if section)
        + "\n</body>\n</html>\n"
    )


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "") -> str:
    """A section with a heading, an optional note and a table. None gives an empty cell."""
    head = "".join(f"<th>{text(cell)}</th>" for cell in heads)
    cells = (["" if cell is None else text(str(cell)) for cell in row] for row in rows)
    body = "\n".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in cells)
    paragraph = f'<p class="note">{text(note)}</p>' if note else ""
    return f"<h2>{text(title)}</h2>{paragraph}<table><tr>{head}</tr>\n{body}</table>"


def picture(png: bytes, caption: str, width: int | None = None) -> str:
    """An inlined PNG file, ``width`` pixels wide on the page."""
    size = f' width="{width}"' if width else ""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return f'<figure><img src="{source}" alt="{text(caption)}"{size}><figcaption>{text(caption)}</figcaption></figure>'


def text(content: str) -> str:
    """Escapes the characters that have a meaning in HTML."""
    return html.escape(content)
