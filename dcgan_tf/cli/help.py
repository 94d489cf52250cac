"""The text of ``--help``: what a command does, and its flags in groups."""

import dataclasses
import shutil
import textwrap
from collections.abc import Collection, Iterable, Sequence

from absl import flags

from dcgan_tf.config.settings import fields_by_section

# The settings that the short help describes. It only lists the names of the others.
EVERYDAY_SETTINGS = (
    "preset", "dataset", "split", "image_size", "channels", "crop", "flip", "data_dir", "steps", "epochs", "batch_size",
    "seed", "conditional", "latent_dim", "generator_filters", "discriminator_filters", "dropout", "loss", "penalty",
    "diff_augment", "augment", "init_from", "learning_rate_generator", "learning_rate_discriminator", "evaluate_every",
    "checkpoint_every", "mixed_precision", "strategy",
)  # fmt: skip
NAME_WIDTH = 26


@dataclasses.dataclass(frozen=True)
class Group:
    """A heading and the flags below it."""

    heading: str
    flags: Sequence[flags.Flag]


def group_flags(own: Iterable[flags.Flag], settings: Collection[str]) -> list[Group]:
    """Puts a command's flags into groups.

    Args:
        own: All flags of the command.
        settings: Names of the flags that are settings of a run. They come last, in the order of docs/configuration.md.
    """
    options = {flag.name: flag for flag in own}
    sections = []
    for heading, fields in fields_by_section().items():
        sections.append(Group(heading, [options.pop(field.name) for field in fields if field.name in settings]))
    return [group for group in (Group("Options", list(options.values())), *sections) if group.flags]


def help_text(program: str, description: str, arguments: str, groups: Sequence[Group], *, full: bool) -> str:
    """The help text of one command.

    Args:
        program: How the command is started.
        description: What the command does, in a paragraph or more.
        arguments: The arguments besides flags; empty if there are none.
        groups: The flags of the command.
        full: Whether to describe every flag in full. Otherwise, the common ones are described in one sentence each.
    """
    width = max(60, min(100, shutil.get_terminal_size().columns))
    lines = [f"Usage: {program}{f' {arguments}' * bool(arguments)} [--flag=value ...]", "", description.strip()]
    has_more = False
    for group in groups:
        is_settings = group.heading != "Options"
        shown = [flag for flag in group.flags if full or not is_settings or flag.name in EVERYDAY_SETTINGS]
        rest = [flag.name for flag in group.flags if flag not in shown]
        lines += ["", group.heading]
        for flag in shown:
            text = flag.help if full or not is_settings else _first_sentence(flag.help)
            lines += _entry(f"--{'[no]' * isinstance(flag, flags.BooleanFlag)}{flag.name}", text, width)
        if rest:
            has_more = True
            lines += _entry("also", ", ".join(rest), width)
    if has_more:
        lines += ["", f"{program} --helpfull describes every flag."]
    return "\n".join(lines)


def _entry(name: str, text: str, width: int) -> list[str]:
    wrapped = textwrap.wrap(" ".join(text.split()), width - NAME_WIDTH - 2) or [""]
    first = f"  {name:<{NAME_WIDTH - 2}}"
    lines = [first.rstrip()] if len(name) > NAME_WIDTH - 3 else [first + wrapped.pop(0)]
    return lines + [" " * NAME_WIDTH + line for line in wrapped]


def _first_sentence(text: str) -> str:
    """The first sentence of a help text, followed by the default."""
    sentence, _, rest = text.partition(". ")
    _, bracket, default = rest.rpartition(" (default: ")
    return sentence.rstrip(".") + (f" (default: {default}" if bracket else "")
