"""Writes the pages that are generated from the code: python -m docs.generate

docs/configuration.md is made from the fields of `Config` and from the presets with their comments. docs/api.md is made
from the docstrings of the modules that a program would import. A test fails if a page is stale.
"""

import ast
import dataclasses
import inspect
import pathlib
import re
from typing import Any

from dcgan_tf.config import presets as presets_module
from dcgan_tf.config.combinations import DEPENDENT_FLAGS
from dcgan_tf.config.presets import PRESETS
from dcgan_tf.config.sections.option import Switch
from dcgan_tf.config.settings import fields_by_section

ROOT = pathlib.Path(__file__).parents[1]

# Heading -> modules, in the order of the page. All other modules are internal.
API: dict[str, tuple[str, ...]] = {
    "Training": ("dcgan_tf.api", "dcgan_tf.training.result", "dcgan_tf.config.settings"),
    "A trained generator": (
        "dcgan_tf.generation.generator",
        "dcgan_tf.generation.projection",
        "dcgan_tf.generation.directions",
        "dcgan_tf.generation.paths",
        "dcgan_tf.generation.arithmetic",
        "dcgan_tf.drawing.grids",
    ),
    "Networks": (
        "dcgan_tf.models.generator",
        "dcgan_tf.models.discriminator",
        "dcgan_tf.models.mlp",
        "dcgan_tf.models.stock",
        "dcgan_tf.models.configured",
        "dcgan_tf.config.plan",
    ),
    "Training in pieces": (
        "dcgan_tf.config.making",
        "dcgan_tf.training.loop",
        "dcgan_tf.training.gan",
        "dcgan_tf.training.monitor",
        "dcgan_tf.runs.run_directory",
        "dcgan_tf.runs.checkpoints",
        "dcgan_tf.runs.records",
        "dcgan_tf.generation.networks",
        "dcgan_tf.generation.sampling",
    ),
    "Data": ("dcgan_tf.data.arrays", "dcgan_tf.data.sources", "dcgan_tf.data.prepare", "dcgan_tf.data.batches"),
    "Objectives": (
        "dcgan_tf.objectives.losses",
        "dcgan_tf.objectives.penalties",
        "dcgan_tf.objectives.unrolled",
        "dcgan_tf.objectives.stabilizers",
        "dcgan_tf.objectives.augment",
        "dcgan_tf.objectives.adaptive",
    ),
    "Metrics": (
        "dcgan_tf.metrics.frechet",
        "dcgan_tf.metrics.kernel",
        "dcgan_tf.metrics.precision_recall",
        "dcgan_tf.metrics.density_coverage",
        "dcgan_tf.metrics.inception_score",
        "dcgan_tf.metrics.class_balance",
        "dcgan_tf.metrics.modes",
        "dcgan_tf.metrics.diversity",
        "dcgan_tf.metrics.variety",
        "dcgan_tf.metrics.neighbors",
        "dcgan_tf.metrics.arrays",
    ),
    "Export and serving": (
        "dcgan_tf.serving.saved_model",
        "dcgan_tf.serving.signatures",
        "dcgan_tf.serving.client",
    ),
    "Errors and messages": ("dcgan_tf.errors", "dcgan_tf.progress"),
}

PAPER = re.compile(r"\b\d{4}\.\d{4,5}\b")
SECTION_HEAD = re.compile(r"(Args|Attributes|Returns|Raises):")
ENTRY = re.compile(r"([\w, .*]+?): (.*)")
GENERATED = "<!-- Written by python -m docs.generate: change the code, not this page. -->"


def configuration_page() -> str:
    """Makes the text of docs/configuration.md."""
    lines = [
        "# Settings",
        "",
        GENERATED,
        "",
        "Every setting is a field of `dcgan_tf.Config`, an argument of `dcgan_tf.train` and a flag of `train.py`.",
        "The defaults below are overridden by the preset, then by the needs of a data set of points, and then by the",
        "values that you give. Type an on/off flag as `--flip` or `--noflip`.",
        "",
        "A run keeps its settings in `config.json`. When it is resumed, only those with *yes* in the column *Resume*",
        "may change. Two more flags belong to the command and not to the run. `--run_dir` is the folder of the run.",
        "`--dry_run` prints the settings, the networks and their cost, and stops.",
    ]
    for heading, fields in fields_by_section().items():
        lines += [
            "",
            f"## {heading}",
            "",
            "| Flag | Type | Default | Range | What it does | Paper | Resume |",
            "|---|---|---|---|---|---|---|",
            *(_field_row(field) for field in fields),
        ]
    lines += [
        "",
        "## Settings that depend on another setting",
        "",
        "These settings are refused while the setting that they depend on is `none` or has its default, because they",
        "would have no effect. With `--penalty=auto`, they are accepted where it chooses a penalty; without them, that",
        "penalty has the weight 0.1 and applies every 4 steps.",
        "",
        "| Setting | Settings that have no effect without it |",
        "|---|---|",
        *(
            f"| `--{parent}` | {', '.join(f'`--{child}`' for child in children)} |"
            for parent, children in DEPENDENT_FLAGS.items()
        ),
        "",
        "Settings that contradict each other are refused as well. The message names both flags and the solution.",
        "",
        "## Presets",
        "",
        "A preset is a named combination of settings. Any other flag that you give overrides it. The MNIST distance of "
        "some is the Frechet distance after four minutes on one core, with the default's networks in place of the "
        "preset's ([objectives.md](objectives.md#measured-every-preset-on-mnist-at-an-equal-time)).",
    ]
    comments = _preset_comments()
    for name, values in PRESETS.items():
        words = [line for line in comments[name] if not line.startswith("python ")]
        commands = [line for line in comments[name] if line.startswith("python ")]
        lines += ["", f"### `--preset={name}`", "", *words]
        lines += ["", *(f"    {command}" for command in commands)] if commands else []
        typed = " ".join(f"--{key}={_shown(value)}" for key, value in values.items())
        lines += ["", f"Sets `{typed}`." if typed else "Sets nothing: it stands for the defaults above."]
    return "\n".join(lines) + "\n"


def api_page() -> str:
    """Makes the text of docs/api.md."""
    lines = [
        "# Programming interface",
        "",
        GENERATED,
        "",
        "The modules that a program may import, with their docstrings. `dcgan_tf.train` (in `dcgan_tf.api`) trains a",
        "model, `dcgan_tf.load_generator` (in `dcgan_tf.generation.generator`) loads a trained generator, and",
        "`dcgan_tf.serving.client.Client` sends requests to a server. Images are uint8 in files and arrays, and",
        "float32 in [-1, 1] in networks. Error messages give the Python names of settings in backquotes.",
        "",
        *(
            f"- {heading}: {', '.join(f'[{module}](#{_anchor(module)})' for module in modules)}"
            for heading, modules in API.items()
        ),
    ]
    for heading, modules in API.items():
        lines += ["", f"## {heading}"]
        for module in modules:
            lines += _module_lines(module)
    return "\n".join(lines) + "\n"


PAGES = {"configuration.md": configuration_page, "api.md": api_page}


def _field_row(field: dataclasses.Field) -> str:
    rules = field.metadata
    kind = {bool: "on/off", Switch: "on/off/auto", int: "whole number", float: "number", str: "text"}[field.type]  # type: ignore[index]
    limits = [
        f"{word} {rules[rule]:,}"
        for rule, word in (("minimum", "at least"), ("above", "above"), ("maximum", "at most"), ("below", "below"))
        if rules[rule] is not None
    ]
    if field.name == "preset":
        limits = ["[one of these](#presets)"]
    if rules["choices"]:
        limits = [", ".join(f"`{choice}`" for choice in rules["choices"])]
    default = "off" if field.default is False else f"`{_shown(field.default)}`" if field.default != "" else "empty"
    papers = ", ".join(f"[{number}](https://arxiv.org/abs/{number})" for number in PAPER.findall(rules["description"]))
    resume = "yes" if rules["may_change"] else "no"
    cells = (f"`--{field.name}`", kind, default, ", ".join(limits), rules["description"], papers, resume)
    return f"| {' | '.join(cells)} |"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _preset_comments() -> dict[str, list[str]]:
    """The comment lines above each preset in the source, without their ``#``."""
    comments: dict[str, list[str]] = {}
    above: list[str] = []
    for line in inspect.getsource(presets_module).splitlines():
        if match := re.fullmatch(r"    # (.+)", line):
            above.append(match[1])
            continue
        if (match := re.match(r'    "(\w+)": ', line)) and match[1] in PRESETS:
            comments.setdefault(match[1], above)
        above = []
    return comments


def _module_lines(module: str) -> list[str]:
    source = ROOT / (module.replace(".", "/") + ".py")
    tree = ast.parse(source.read_text())
    lines = ["", f"### {module}", "", *_text_lines(ast.get_docstring(tree) or "")]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            lines += _definition_lines(node)
    return lines


def _definition_lines(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    if isinstance(node, ast.FunctionDef):
        return ["", f"#### `{_signature(node)}`", "", *_text_lines(ast.get_docstring(node) or "")]
    lines = ["", f"#### class `{node.name}`", "", *_text_lines(ast.get_docstring(node) or "")]
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_") and ast.get_docstring(method):
            is_property = any(ast.unparse(decorator).endswith("property") for decorator in method.decorator_list)
            returned = ast.unparse(method.returns) if method.returns else ""
            name = f"{method.name}: {returned}" if is_property else _signature(method)
            lines += ["", f"##### `{node.name}.{name}`", "", *_text_lines(ast.get_docstring(method) or "")]
    return lines


def _signature(node: ast.FunctionDef) -> str:
    # Annotations are in quotes if their import is only for type checkers.
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg):
            argument.annotation = _without_quotes(argument.annotation)
    node.returns = _without_quotes(node.returns)
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    return f"{node.name}({arguments}) -> {ast.unparse(node.returns) if node.returns else 'None'}"


def _without_quotes(annotation: ast.expr | None) -> ast.expr | None:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return ast.parse(annotation.value, mode="eval").body
    return annotation


def _text_lines(docstring: str) -> list[str]:
    """Converts a docstring to Markdown. Sections such as ``Args:`` become lists, and examples become code."""
    lines: list[str] = []
    heading, in_example = "", False
    for line in [*docstring.splitlines(), ""]:
        text = line.strip()
        if text.startswith(">>>") and not in_example:
            in_example = True
            lines.append("```python")
        elif in_example and not text:
            in_example = False
            lines.append("```")
        if match := SECTION_HEAD.fullmatch(text):
            heading = match[1]
            lines += [f"*{heading}*", ""]
        elif not line.startswith("    "):
            heading = ""
            lines.append(text)
        elif heading and not line.startswith(" " * 8) and (match := ENTRY.fullmatch(text)) and heading != "Returns":
            lines.append(f"- `{match[1]}`: {match[2]}")
        elif heading and lines[-1].startswith(("- ", "  ")):
            lines.append(f"  {text}")
        else:
            lines.append(text)
    return lines[:-1]


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def main() -> None:
    for name, page in PAGES.items():
        path = ROOT / "docs" / name
        path.write_text(page())
        print(f"Wrote docs/{name}, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
