"""results.json as text: report.md."""

import json
from typing import Any

SHOWN_LOG_LINES = 12


def format_report(content: dict[str, Any]) -> str:
    """Markdown: the protocol, how each part went, tables of speed, and all other findings as they are."""
    lines = ["# On a GPU", ""]
    if content["protocol"].get("small"):
        lines += ["**A try in small on a CPU: no figure here means anything.**", ""]
    lines += [f"- {name}: {value}" for name, value in content["protocol"].items()]
    lines += ["", "| Part | How it went | s |", "|---|---|---|"]
    lines += [f"| {name} | {part['status']} | {part.get('seconds', '')} |" for name, part in content["parts"].items()]
    for name, part in content["parts"].items():
        rest = {key: value for key, value in part.items() if key not in ("status", "seconds", "log")}
        lines += ["", f"## {name}", ""]
        if "ms" in rest:
            lines += [*_speed_table(rest.pop("ms")), ""]
        if rest:
            lines += ["```json", json.dumps(rest, indent=1), "```"]
        if "log" in part:
            lines += ["```text", *part["log"][-SHOWN_LOG_LINES:], "```"]
    return "\n".join(lines) + "\n"


def _speed_table(milliseconds: dict[str, dict[str, float]]) -> list[str]:
    columns = {
        "images_per_second": ("images/s", "{:,.0f}"),
        "share_of_matmul_rate": ("of the product's rate", "{:.1%}"),
        "share_of_bandwidth_at_least": ("of the bandwidth, at least", "{:.1%}"),
        "pytorch_eager_takes_times": ("PyTorch eager takes times", "{:.2f}"),
        "pytorch_compiled_takes_times": ("compiled takes times", "{:.2f}"),
    }
    lines = ["| Step | ms | range |" + "".join(f" {title} |" for title, _ in columns.values())]
    lines.append("|---" * (3 + len(columns)) + "|")
    for name, figures in milliseconds.items():
        cells = [template.format(figures[key]) if key in figures else "" for key, (_, template) in columns.items()]
        span = f"{figures['least']:.2f} to {figures['most']:.2f}"
        lines.append(f"| {name} | {figures['median']:.2f} | {span} | " + " | ".join(cells) + " |")
    return lines
