"""MODEL_CARD.md, which describes an exported model to somebody who finds it on a server."""

import dataclasses
from typing import Any

from dcgan_tf.config.settings import Config
from dcgan_tf.serving.signatures import Signature

MODEL_CARD = "MODEL_CARD.md"
KINDS = {1: "gray", 3: "RGB", 4: "RGBA"}  # By the number of channels


def model_card(metadata: dict[str, Any], signatures: list[Signature]) -> str:
    """Describes a version: its training, its signatures and its limits.

    Args:
        metadata: The contents of ``assets.extra/model.json``.
        signatures: The signatures of the model.

    Returns:
        The text of the card.
    """
    config = metadata["config"]
    shape = metadata["image_shape"]
    makes, kind = "points in the plane", "points"
    if len(shape) == 3:
        kind = "images"
        makes = f"{shape[0]}x{shape[1]} images in {KINDS[shape[2]]}"
    measured = [
        f"{name} {value:.4g}" for name, value in metadata["metrics"].items() if name.startswith(("metric", "loss"))
    ]
    lines = [
        f"# Generator of {config['dataset']} {kind}, version {metadata['version']}",
        "",
        f"A generative adversarial network that makes {makes}, trained for {metadata['step']:,} steps on the split "
        f"`{config['split']}` of `{config['dataset']}` (digest `{config['data_digest']}`).",
        "",
        "## Signatures",
        "",
        "| Name | Inputs (one row per image) |",
        "|---|---|",
        *(
            f"| `{signature.name}` | {', '.join(_describe(spec) for spec in signature.inputs)} |"
            for signature in signatures
        ),
        "",
        "## Limits",
        "",
        f"- The {kind} reflect what the network learned from its data, including gaps and biases of the data.",
        f"- They may closely resemble training {kind}. Check before using them where this matters.",
        *(
            [
                "- The discriminator's `probability` is the sigmoid of its logit. It distinguishes real from generated "
                "samples of this training only. It can be read as a probability only with a cross-entropy loss "
                "(non_saturating, minimax)."
            ]
            if any(signature.name == "discriminate" for signature in signatures)
            else []
        ),
        "",
        "## Training",
        "",
        *(["Measured at that step: " + ", ".join(measured) + ".", ""] if measured else []),
        f"Parameters: {', '.join(f'{name} {count:,}' for name, count in metadata['parameters'].items())}. "
        f"Made with {', '.join(f'{name} {version}' for name, version in metadata['packages'].items())}"
        + (f", commit `{metadata['git_commit']}`." if metadata["git_commit"] else "."),
        "",
        *(f"    {field.name}={config[field.name]}" for field in dataclasses.fields(Config) if _is_typed(field, config)),
        "",
    ]
    return "\n".join(lines)


def _is_typed(field: dataclasses.Field, config: dict[str, Any]) -> bool:
    return field.metadata["flag"] and config.get(field.name, "") != ""


def _describe(spec: Any) -> str:
    return f"`{spec.name}` {spec.dtype.name} [{', '.join(['N', *map(str, spec.shape[1:])])}]"
