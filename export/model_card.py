"""MODEL_CARD.md: what an exported model is, for the person who finds it on a server."""

import os
import pathlib
from typing import Any

from export.signatures import Signature


def write_model_card(metadata: dict[str, Any], signatures: list[Signature], path: pathlib.Path) -> None:
    """Describes a version: what it was trained on and how, what it answers, what it is not for.

    Args:
        metadata: as in ``assets.extra/model.json``.
        signatures: of the model.
        path: of the card, written whole or not at all.
    """
    config = metadata["config"]
    shape = metadata["image_shape"]
    makes = "points in the plane"
    if len(shape) == 3:
        makes = f"{shape[0]}x{shape[1]} images in {'gray' if shape[2] == 1 else 'RGB'}"
    lines = [
        f"# Generator of {config['dataset']} images, version {metadata['version']}",
        "",
        f"A generative adversarial network that makes {makes}, trained for {metadata['step']:,} steps on the split "
        f"`{config['split']}` of `{config['dataset']}` (digest `{config['data_digest']}`).",
        "",
        "## Signatures",
        "",
        "| Name | Inputs, one row an image |",
        "|---|---|",
        *(
            f"| `{signature.name}` | {', '.join(_describe(spec) for spec in signature.inputs)} |"
            for signature in signatures
        ),
        "",
        "## Limits",
        "",
        "- Images are samples of what the network learned from its data, with the data's gaps and biases.",
        "- They may resemble training images. Do not use them where that would matter without checking.",
        "- The discriminator's probability tells real from generated images of this training only.",
        "",
        "## Training",
        "",
        f"Parameters: {', '.join(f'{name} {count:,}' for name, count in metadata['parameters'].items())}. "
        f"Made with {', '.join(f'{name} {version}' for name, version in metadata['packages'].items())}"
        + (f", commit `{metadata['git_commit']}`." if metadata["git_commit"] else "."),
        "",
        *(f"    --{name}={value}" for name, value in config.items() if value not in ("", [])),
        "",
    ]
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text("\n".join(lines))
    os.replace(temporary, path)


def _describe(spec: Any) -> str:
    return f"`{spec.name}` {spec.dtype.name} [{', '.join(['N', *map(str, spec.shape[1:])])}]"
