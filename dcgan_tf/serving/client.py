"""Asks a served model: python -m dcgan_tf.serving.client --seed=0 --num=16 --out=grid.png

A program of its own uses `Client`, which answers with arrays. Over REST neither needs TensorFlow.
"""

if __name__ == "__main__":
    import dcgan_tf.interrupt  # noqa: F401  Before the others, which take their time

import functools
import math
import os
import pathlib
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from absl import flags
from tqdm import tqdm

from dcgan_tf.cli import command_line
from dcgan_tf.data import pictures
from dcgan_tf.drawing.grids import make_grid, save_png
from dcgan_tf.errors import UserError, printable
from dcgan_tf.serving.answers import MAXIMUM_VALUES, Signature, VersionStatus, in_short
from dcgan_tf.serving.transports import GrpcTransport, RestTransport, Transport, Unavailable

# As many rows as the model takes in one request (dcgan_tf.serving.signatures.MAXIMUM_ROWS, which imports TensorFlow).
ROWS_PER_REQUEST = 1024
LONGEST_DEADLINE = 1e6
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
ACTIONS = ("sample", "sample_png", "interpolate", "discriminate", "status")

Answer = TypeVar("Answer")


class Client:
    """A model on TensorFlow Serving.

    A request that finds the server unavailable (not up yet, restarting, its queue full) is repeated with growing
    pauses until its deadline; any other error is raised at once.

    Args:
        host: name or address, with ``:port`` where it is not 8501, or 8500 with gRPC. REST takes a URL, too, such as
            ``https://example.org/models`` of a proxy.
        model: its name on the server.
        version_label: such as "stable"; empty for the newest version.
        grpc: speak gRPC in place of REST, which needs the package tensorflow-serving-api.
        deadline: seconds for each request in all, repetitions included.
        on_wait: told why, when a request is going to be repeated for the first time.

    Raises:
        UserError: by every method, with one line on what to mend.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        model: str = "dcgan",
        version_label: str = "",
        grpc: bool = False,
        deadline: float = 30.0,
        on_wait: Callable[[str], None] = lambda reason: None,
    ) -> None:
        if not 0 < deadline <= LONGEST_DEADLINE:
            raise UserError(f"--deadline: expected from 0 to {LONGEST_DEADLINE:,.0f} seconds. Received: {deadline}")
        transport = GrpcTransport if grpc else RestTransport
        self._transport: Transport = transport(host, model, version_label)
        self._host, self._model = host, model
        self._deadline, self._on_wait = deadline, on_wait
        self._signatures: dict[str, Signature] = {}

    def sample(self, seeds: npt.ArrayLike, psi: npt.ArrayLike = 1.0, labels: npt.ArrayLike | None = None) -> np.ndarray:
        """Images of seeds; the same seed is always the same image.

        Args:
            seeds: int64 [N].
            psi: float, one or [N]: 1 as in training, towards 0 more typical and less varied.
            labels: int, one or [N], of the classes; for a conditional model only.

        Returns:
            uint8 [N, height, width, channels].
        """
        inputs = {"seed": _integers("seeds", seeds), "psi": np.asarray(psi, np.float32)}
        return self._predict("sample", inputs, labels)["images"]

    def sample_png(self, seeds: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> list[bytes]:
        """PNG files of seeds, made by the server. Arguments as of `sample`."""
        return list(self._predict("sample_png", {"seed": _integers("seeds", seeds)}, labels)["image_bytes"])

    def interpolate(
        self, seed_from: npt.ArrayLike, seed_to: npt.ArrayLike, t: npt.ArrayLike, labels: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """Images between those of two seeds.

        Args:
            seed_from, seed_to: int, one or [N].
            t: float [N], from 0 for the first seed's image to 1 for the other's.
            labels: as of `sample`.

        Returns:
            uint8 [N, height, width, channels].
        """
        inputs = {
            "seed_from": _integers("seed_from", seed_from),
            "seed_to": _integers("seed_to", seed_to),
            "t": np.asarray(t, np.float32),
        }
        return self._predict("interpolate", inputs, labels)["images"]

    def discriminate(self, images: np.ndarray, labels: npt.ArrayLike | None = None) -> dict[str, np.ndarray]:
        """What the discriminator makes of images.

        Args:
            images: uint8 [N, height, width, channels], of the model's own size (see `image_shape`).
            labels: as of `sample`.

        Returns:
            "logits" float32 [N], "probability" float32 [N] of being real, "features" float32 [N, F].
        """
        expected = self.image_shape()
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != expected:
            raise UserError(
                f"images: expected uint8 [N, {', '.join(map(str, expected))}]. "
                f"Received: {images.dtype} {list(images.shape)}"
            )
        return self._predict("discriminate", {"images": images}, labels)

    def image_shape(self) -> tuple[int, ...]:
        """Height, width and channels of the model's images."""
        return self._signature("sample").outputs["images"][1:]

    def status(self) -> list[VersionStatus]:
        """The versions that the server has or had, the newest first."""
        return self._ask(self._transport.status)

    def _predict(
        self, signature: str, inputs: dict[str, np.ndarray], labels: npt.ArrayLike | None
    ) -> dict[str, np.ndarray]:
        shapes = self._signature(signature)
        conditional = "label" in shapes.inputs
        if conditional and labels is None:
            raise UserError("--label: expected the number of a class, because the model is conditional")
        if labels is not None:
            if not conditional:
                raise UserError("--label: expected none, because the model is not conditional. Leave it out")
            inputs = {**inputs, "label": _integers("labels", labels)}
        inputs = _same_rows(inputs)
        rows = len(next(iter(inputs.values())))
        # A PNG file is hardly larger than its image, which `sample` answers with.
        values_per_row = max(shapes.values_per_row, self._signature("sample").values_per_row)
        at_once = min(ROWS_PER_REQUEST, MAXIMUM_VALUES // values_per_row)
        parts = []
        with tqdm(total=rows, desc=signature, unit=" rows", delay=2, disable=None, leave=False) as progress:
            for start in range(0, rows, at_once):
                part = {name: values[start : start + at_once] for name, values in inputs.items()}
                count = min(at_once, rows - start)
                outputs = {name: (count, *shape[1:]) for name, shape in shapes.outputs.items()}
                parts.append(self._ask(functools.partial(self._transport.predict, signature, part, outputs)))
                progress.update(count)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _signature(self, name: str) -> Signature:
        if not self._signatures:
            self._signatures = self._ask(self._transport.signatures)
        if not {name, "sample", "sample_png"} <= self._signatures.keys():  # A model of points makes no PNG.
            names = ", ".join(each for each in sorted(self._signatures) if not each.startswith("__"))
            raise UserError(
                f"--model: expected a model of images with the signature '{name}', exported by dcgan_tf. "
                f"'{self._model}' has only: {names[:300]}"
            )
        signature = self._signatures[name]
        if not signature.is_ours(name):
            raise UserError(
                f"--model: expected a model of images, exported by dcgan_tf. The signature '{name}' of '{self._model}' "
                f"has other outputs or shapes: {in_short(signature)}"
            )
        return signature

    def _ask(self, request: Callable[[float], Answer]) -> Answer:
        end = time.monotonic() + self._deadline
        longest_pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return request(max(0.001, end - time.monotonic()))
            except Unavailable as error:
                # Clients that lost their server together shall not come back together.
                pause = longest_pause * random.uniform(0.5, 1)
                if time.monotonic() + pause >= end:
                    raise UserError(
                        f"--host: expected a server that answers within {self._deadline:g} seconds. "
                        f"Received from '{self._host}': {error}. Start the server, or give a longer --deadline"
                    ) from None
                if longest_pause == FIRST_PAUSE_SECONDS:
                    self._on_wait(str(error))
                time.sleep(pause)
                longest_pause = min(LONGEST_PAUSE_SECONDS, 2 * longest_pause)


def _integers(name: str, values: npt.ArrayLike) -> np.ndarray:
    array = np.asarray(values)
    if array.size and (array.dtype.kind not in "iu" or int(array.max()) >= 2**63):
        received = " ".join(repr(values).split())[:200]
        raise UserError(f"{name}: expected whole numbers below 2**63. Received: {received}")
    return array.astype(np.int64)


def _same_rows(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Repeats single values, so that every input has as many rows as the longest."""
    rows = max((len(values) for values in inputs.values() if values.ndim), default=1)
    if not rows:
        raise UserError("expected at least one row. Received: an empty batch")
    repeated = {name: values if values.ndim else np.repeat(values, rows) for name, values in inputs.items()}
    if len({len(values) for values in repeated.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in repeated.items())
        raise UserError(f"expected as many rows in every input. Received: {lengths}")
    return repeated


def _read_pictures(folder_or_file: pathlib.Path, shape: tuple[int, ...]) -> tuple[list[pathlib.Path], np.ndarray]:
    """Pictures of exactly the model's size, read as training reads them, as uint8 [N, height, width, channels]."""
    if folder_or_file.is_dir():
        paths = sorted(path for path in folder_or_file.iterdir() if path.suffix.lower() in pictures.ENDINGS)
    else:
        paths = [folder_or_file]
    recipe = pictures.Recipe(shape[0], shape[1], shape[2])
    rows = []
    for path in paths:
        try:
            with pictures.open_picture(path, pictures.ANY_SIZE) as picture:
                height, width = pictures.upright_size(picture)
            if (height, width) != shape[:2]:
                raise UserError(
                    f"--images: expected {shape[1]}x{shape[0]} pixels, as the model has. "
                    f"Received: '{path}' of {width}x{height}"
                )
            with pictures.memory_for(path):
                rows.append(pictures.make_row(pictures.load_picture(path, pictures.ANY_SIZE), recipe))
        except pictures.BadPictureError as error:
            raise UserError(f"--images: expected a picture. Received: '{path}' ({error})") from None
    if not rows:
        raise UserError(f"--images: expected a picture, or a folder of some. Received: '{folder_or_file}'")
    return paths, np.stack(rows)


def _write_files(contents: Sequence[bytes], names: Sequence[str], folder: pathlib.Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for content, name in zip(contents, names, strict=True):
        temporary = folder / f".{name}.tmp"
        temporary.write_bytes(content)
        os.replace(temporary, folder / name)


def main() -> None:
    values = flags.FLAGS.flag_values_dict()
    action, seed, num = values["action"], values["seed"], values["num"]
    if seed + num > 2**63:
        raise UserError(f"--seed: expected at most {2**63 - num}. Received: {seed}")
    if not math.isfinite(values["psi"]):
        raise UserError(f"--psi: expected a finite number. Received: {values['psi']}")
    out = _check_out(action, values)
    client = Client(
        values["host"],
        values["model"],
        values["version_label"],
        values["grpc"],
        values["deadline"],
        on_wait=lambda reason: print(printable(f"Waiting for '{values['host']}': {reason}"), file=sys.stderr),
    )
    seeds, labels = np.arange(seed, seed + num), values["label"]
    if action == "status":
        _print_status(client.status(), values)
    elif action == "discriminate":
        paths, images = _read_pictures(pathlib.Path(values["images"]).expanduser(), client.image_shape())
        answer = client.discriminate(images, labels)
        for path, logit, probability in zip(paths, answer["logits"], answer["probability"], strict=True):
            print(printable(f"{path}: real with probability {probability:.4f} (logit {logit:.3f})"))
    elif action == "sample_png":
        _write_files(client.sample_png(seeds, labels), [f"{seed:08d}.png" for seed in seeds], out)
        print(f"Wrote {num} files, seeds {seeds[0]} to {seeds[-1]}, to {out}")
    else:
        if action == "sample":
            images, columns = client.sample(seeds, values["psi"], labels), None
        else:
            images, columns = client.interpolate(seed, values["seed_to"], np.linspace(0, 1, num), labels), num
        out.parent.mkdir(parents=True, exist_ok=True)
        save_png(make_grid(images, columns), out)
        print(f"Wrote {num} images to {out}")


def _check_out(action: str, values: Mapping[str, Any]) -> pathlib.Path:
    out = pathlib.Path(values["out"] or ("samples" if action == "sample_png" else "samples.png")).expanduser()
    if action == "sample_png" and out.exists() and not out.is_dir():
        raise UserError(f"--out: expected a folder with --action=sample_png. Received the file '{out}'")
    if action in ("sample", "interpolate") and out.suffix.lower() != ".png":
        raise UserError(f"--out: expected a file that ends in .png. Received: '{out}'")
    if action == "discriminate" and not values["images"]:
        raise UserError("--images: expected a picture, or a folder of some. Received: ''")
    return out


def _print_status(versions: Sequence[VersionStatus], values: Mapping[str, Any]) -> None:
    for version in versions:
        print(printable(f"{values['model']} version {version.version}: {version.state} {version.error}".rstrip()))
    if not any(version.state == "AVAILABLE" for version in versions):
        raise UserError(
            f"no version of '{values['model']}' is available on '{values['host']}'. Look at the server's log"
        )


if __name__ == "__main__":
    flags.DEFINE_enum("action", "sample", ACTIONS, "What to ask for.")
    flags.DEFINE_string("host", "127.0.0.1", "Server, with :port where it is not 8501 (8500 with --grpc); or a URL.")
    flags.DEFINE_boolean("grpc", False, "Speak gRPC in place of REST. Needs the package tensorflow-serving-api.")
    flags.DEFINE_string("model", "dcgan", "Name of the model on the server.")
    flags.DEFINE_string(
        "version_label", "", "Label of a version, such as stable or canary. Default: the newest version."
    )
    flags.DEFINE_float("deadline", 30.0, "Seconds for each request in all, repetitions included.", lower_bound=0.1)
    flags.DEFINE_integer("seed", 0, "Seed of the first image.", lower_bound=0)
    flags.DEFINE_integer("num", 64, "How many images.", lower_bound=1)
    flags.DEFINE_float("psi", 1.0, "sample: 1 as in training, towards 0 more typical and less varied.")
    flags.DEFINE_integer("label", None, "Number of the class, for a conditional model.", lower_bound=0)
    flags.DEFINE_integer("seed_to", 1, "interpolate: seed of the last image.", lower_bound=0, upper_bound=2**63 - 1)
    command_line.define_path(
        "images", "", "discriminate: a picture of the model's size, or a folder of some. White shows through."
    )
    command_line.define_path(
        "out", "", "A PNG file; a folder for sample_png. Default: samples.png, or the folder samples."
    )
    command_line.run(main)
