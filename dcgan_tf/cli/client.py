"""Asks a TensorFlow Serving server for images: python -m dcgan_tf client --seed=0 --num=16 --out=grid.png"""

import math
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from absl import flags

from dcgan_tf import files
from dcgan_tf.cli import command_line
from dcgan_tf.data import pictures
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.errors import UserError, printable
from dcgan_tf.serving.answers import VersionStatus
from dcgan_tf.serving.client import Client

FLAGS = flags.FLAGS
# No limits: pictures of another size than the model's are refused before they are decoded.
ANY_SIZE = pictures.Limits(max_pixels=sys.maxsize, max_side=sys.maxsize)
ACTIONS = ("sample", "sample_png", "interpolate", "discriminate", "status")


def define_flags() -> None:
    flags.DEFINE_enum("action", "sample", ACTIONS, "What to ask the server for.")
    flags.DEFINE_string(
        "host", "127.0.0.1", "Server: a URL, or a host name, with :port unless the port is 8501 (8500 with --grpc)."
    )
    flags.DEFINE_boolean("grpc", False, "Use gRPC instead of REST. Needs the package tensorflow-serving-api.")
    flags.DEFINE_string("model", "dcgan", "Name of the model on the server.")
    flags.DEFINE_string("version_label", "", "Version label, such as stable or canary. Default: the newest version.")
    flags.DEFINE_float("deadline", 30.0, "Total seconds for each request, including retries.", lower_bound=0.1)
    flags.DEFINE_integer("seed", 0, "Seed of the first image.", lower_bound=0)
    flags.DEFINE_integer("num", 64, "Number of images.", lower_bound=1)
    flags.DEFINE_float(
        "psi",
        1.0,
        "For sample: scale of the latents. 1: as in training. Lower values give more typical, less diverse images.",
    )
    flags.DEFINE_integer("label", None, "Number of the class, for a conditional model.", lower_bound=0)
    flags.DEFINE_integer("seed_to", 1, "For interpolate: seed of the last image.", lower_bound=0, upper_bound=2**63 - 1)
    command_line.define_path(
        "images",
        "",
        "For discriminate: a picture of the model's size, or a folder of them. Transparent pixels become white.",
    )
    command_line.define_path(
        "out", "", "PNG file to write; a folder for sample_png. Default: samples.png, or the folder samples."
    )


def run() -> None:
    action, seed, num = FLAGS.action, FLAGS.seed, FLAGS.num
    if seed + num > 2**63:
        raise UserError(f"--seed: expected at most {2**63 - num}. Received: {seed}")
    if not math.isfinite(FLAGS.psi):
        raise UserError(f"--psi: expected a finite number. Received: {FLAGS.psi}")
    out = _check_out(action)
    client = Client(
        FLAGS.host,
        FLAGS.model,
        FLAGS.version_label,
        FLAGS.grpc,
        FLAGS.deadline,
        on_wait=lambda reason: print(printable(f"Waiting for '{FLAGS.host}': {reason}"), file=sys.stderr),
    )
    seeds, labels = np.arange(seed, seed + num), FLAGS.label
    if action == "status":
        _print_status(client.status())
    elif action == "discriminate":
        paths, images = _read_pictures(pathlib.Path(FLAGS.images), client.image_shape())
        answer = client.discriminate(images, labels)
        for path, logit, probability in zip(paths, answer["logits"], answer["probability"], strict=True):
            print(printable(f"{path}: real with probability {probability:.4f} (logit {logit:.3f})"))
    elif action == "sample_png":
        out.mkdir(parents=True, exist_ok=True)
        for image_seed, content in zip(seeds, client.sample_png(seeds, labels), strict=True):
            files.write_bytes(out / f"{image_seed:08d}.png", content)
        print(f"Wrote {num} files, seeds {seeds[0]} to {seeds[-1]}, to {out}")
    else:
        if action == "sample":
            images, columns = client.sample(seeds, FLAGS.psi, labels), None
        else:
            images, columns = client.interpolate(seed, FLAGS.seed_to, np.linspace(0, 1, num), labels), num
        out.parent.mkdir(parents=True, exist_ok=True)
        save_png(make_grid(images, columns), out)
        print(f"Wrote {len(images)} images to {out}")


def _check_out(action: str) -> pathlib.Path:
    out = pathlib.Path(FLAGS.out or ("samples" if action == "sample_png" else "samples.png"))
    if action == "sample_png" and out.exists() and not out.is_dir():
        raise UserError(f"--out: expected a folder with --action=sample_png. Received the file '{out}'")
    if action in ("sample", "interpolate") and out.suffix.lower() != ".png":
        raise UserError(f"--out: expected a file that ends in .png. Received: '{out}'")
    if action == "discriminate" and not FLAGS.images:
        raise UserError("--images: expected a picture or a folder of pictures. Received: ''")
    return out


def _print_status(versions: Sequence[VersionStatus]) -> None:
    for version in versions:
        print(printable(f"{FLAGS.model} version {version.version}: {version.state} {version.error}".rstrip()))
    if not any(version.state == "AVAILABLE" for version in versions):
        raise UserError(f"no version of '{FLAGS.model}' is available on '{FLAGS.host}'. See the server's log")


def _read_pictures(folder_or_file: pathlib.Path, shape: tuple[int, ...]) -> tuple[list[pathlib.Path], np.ndarray]:
    """Reads pictures of exactly the model's size, as training does; returns uint8 [N, height, width, channels]."""
    if folder_or_file.is_dir():
        paths = sorted(path for path in folder_or_file.iterdir() if path.suffix.lower() in pictures.ENDINGS)
    else:
        paths = [folder_or_file]
    recipe = pictures.Recipe(shape[0], shape[1], shape[2])
    rows = []
    for path in paths:
        try:
            with pictures.open_picture(path, ANY_SIZE) as picture:
                height, width = pictures.upright_size(picture)
            if (height, width) != shape[:2]:
                raise UserError(
                    f"--images: expected {shape[1]}x{shape[0]} pixels, the model's image size. "
                    f"Received: '{path}' of {width}x{height}"
                )
            with pictures.memory_for(path):
                rows.append(pictures.make_row(pictures.load_picture(path, ANY_SIZE), recipe))
        except pictures.BadPictureError as error:
            raise UserError(f"--images: expected a picture. Received: '{path}' ({error})") from None
    if not rows:
        raise UserError(f"--images: expected a picture or a folder of pictures. Received: '{folder_or_file}'")
    return paths, np.stack(rows)
