"""MODEL_CARD.md, which describes an exported model in the format of Hugging Face's model cards."""

import dataclasses
import json
from typing import Any

from dcgan_tf.config.settings import Config
from dcgan_tf.serving.signatures import Signature

MODEL_CARD = "MODEL_CARD.md"
SAMPLES = "samples.png"
KINDS = {1: "gray", 3: "RGB", 4: "RGBA"}  # By the number of channels
# Metrics of the evaluations during training and of the command `evaluate`
MEASURED = ("metric/", "evaluation/")


def model_card(metadata: dict[str, Any], signatures: list[Signature]) -> str:
    """Describes a version: its use, its training, its signatures and its limits.

    Args:
        metadata: The contents of ``assets.extra/model.json``.
        signatures: The signatures of the model.

    Returns:
        The text of the card. It begins with the YAML header that Hugging Face reads.
    """
    config = metadata["config"]
    shape = metadata["image_shape"]
    makes, kind = "points in the plane", "points"
    if len(shape) == 3:
        kind = "images"
        makes = f"{shape[0]}x{shape[1]} images in {KINDS[shape[2]]}"
    metrics = {name: value for name, value in metadata["metrics"].items() if name.startswith((*MEASURED, "loss/"))}
    lines = [
        *_header(config, metrics, kind),
        f"# Generator of {config['dataset']} {kind}, version {metadata['version']}",
        "",
        f"A generative adversarial network that makes {makes}, trained for {metadata['step']:,} steps on the split "
        f"`{config['split']}` of `{config['dataset']}` (digest `{config['data_digest']}`).",
        *_origin(metadata),
        "",
        f"![Generated {kind}, not selected]({SAMPLES})",
        "",
        *_usage(metadata, kind, is_conditional=any(spec.name == "label" for spec in signatures[0].inputs)),
        *(["## Metrics", "", "| Metric at this step | Value |", "|---|---|"] if metrics else []),
        *(f"| {name} | {value:.4g} |" for name, value in metrics.items()),
        *([""] if metrics else []),
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
        f"- The {kind} reflect what the network learned from its data, including the gaps and biases of the data.",
        f"- They may closely resemble training {kind}. Check before using them where this matters.",
        *(
            [
                "- The discriminator's `probability` is the sigmoid of its logit. It distinguishes real from generated "
                "samples of this training run only. It can be read as a probability only with a cross-entropy loss "
                "(non_saturating, minimax)."
            ]
            if any(signature.name == "discriminate" for signature in signatures)
            else []
        ),
        "",
        "## Training",
        "",
        f"Parameters: {', '.join(f'{name} {count:,}' for name, count in metadata['parameters'].items())}. "
        f"Made with {', '.join(f'{name} {version}' for name, version in metadata['packages'].items())}"
        + (f", commit `{metadata['git_commit']}`." if metadata["git_commit"] else "."),
        "",
        *(f"    {field.name}={config[field.name]}" for field in dataclasses.fields(Config) if _is_typed(field, config)),
        "",
    ]
    return "\n".join(lines)


def _origin(metadata: dict[str, Any]) -> list[str]:
    if not metadata["began_with_another_model"]:
        return []
    return ["Training began with the weights of another model, so the data and the license of that model matter, too."]


def _header(config: dict[str, Any], metrics: dict[str, float], kind: str) -> list[str]:
    """The YAML header. Texts are written as JSON strings, which are valid in YAML whatever they contain."""
    measured = {name.split("/", 1)[1]: value for name, value in metrics.items() if name.startswith(MEASURED)}
    lines = [
        "---",
        "license: unknown  # Choose one before you share the model.",
        "library_name: keras",
        *(["pipeline_tag: unconditional-image-generation"] if kind == "images" else []),
        "tags:",
        *(f"- {tag}" for tag in ("dcgan", "gan", "tensorflow", f"{kind}-generation".replace("images", "image"))),
    ]
    if measured:
        name = json.dumps(config["dataset"])
        lines += ["metrics:", *(f"- {json.dumps(metric)}" for metric in measured)]
        lines += ["model-index:", f"- name: {json.dumps('dcgan-' + config['dataset'])}", "  results:"]
        lines += ["  - task:", "      type: unconditional-image-generation", "    dataset:"]
        lines += [f"      type: {name}", f"      name: {name}", f"      split: {json.dumps(config['split'])}"]
        lines += ["    metrics:"]
        for metric, value in measured.items():
            lines += [f"    - type: {json.dumps(metric)}", f"      value: {json.dumps(value)}"]
    return [*lines, "---", ""]


def _usage(metadata: dict[str, Any], kind: str, *, is_conditional: bool) -> list[str]:
    """The code that generates with each kind of file."""
    labels = ", label=tf.constant([0, 0], tf.int64)" if is_conditional else ""
    inputs = "[z, np.zeros(16, np.int64)]" if is_conditional else "z"
    pixels = "images = np.rint((np.clip(outputs, -1, 1) + 1) * 127.5).astype(np.uint8)"
    return [
        "## Use",
        "",
        f"The SavedModel is the folder that contains `saved_model.pb`. It generates {kind} from seeds:",
        "",
        "```python",
        "import tensorflow as tf",
        "",
        f'model = tf.saved_model.load("saved_model/{metadata["version"]}")',
        f"inputs = dict(seed=tf.constant([0, 1], tf.int64), psi=tf.constant([1.0, 1.0]){labels})",
        f'{kind} = model.signatures["sample"](**inputs)["{kind}"].numpy()',
        "```",
        "",
        "`generator.keras`, in the folder of the run, consists of Keras's own layers and needs no other package:",
        "",
        "```python",
        "import keras",
        "import numpy as np",
        "",
        'generator = keras.saving.load_model("generator.keras")',
        f'z = np.random.default_rng(0).standard_normal((16, {metadata["config"]["latent_dim"]})).astype("float32")',
        f"outputs = keras.ops.convert_to_numpy(generator({inputs}))",
        *([pixels] if kind == "images" else []),
        "```",
        "",
    ]


def _is_typed(field: dataclasses.Field, config: dict[str, Any]) -> bool:
    return field.metadata["flag"] and config.get(field.name, "") != ""


def _describe(spec: Any) -> str:
    return f"`{spec.name}` {spec.dtype.name} [{', '.join(['N', *map(str, spec.shape[1:])])}]"
