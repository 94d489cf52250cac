"""A client of TensorFlow Serving that returns arrays. Over REST it needs no TensorFlow."""

import functools
import random
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from dcgan_tf import progress
from dcgan_tf.errors import UserError
from dcgan_tf.serving.answers import MAX_VALUES, Signature, VersionStatus, in_short
from dcgan_tf.serving.transports import GrpcTransport, RestTransport, Transport, Unavailable

# Maximum number of rows per request. It equals dcgan_tf.serving.signatures.MAX_ROWS, which is not imported because its
# module imports TensorFlow.
ROWS_PER_REQUEST = 1024
MAX_DEADLINE = 1e6
FIRST_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 2.0

Answer = TypeVar("Answer")


class Client:
    """A model on TensorFlow Serving.

    If the server is unavailable (not up yet, restarting, or its queue full), a request is retried with exponential
    backoff until its deadline. Any other error is raised at once.

    Args:
        host: Name or address, with ``:port`` unless it is 8501, or 8500 with gRPC. With REST also a URL, such as
            ``https://example.org/models`` of a proxy.
        model: Name of the model on the server.
        version_label: Version label, such as "stable"; empty for the newest version.
        grpc: Whether to use gRPC instead of REST. It needs the package tensorflow-serving-api.
        deadline: Total seconds for each request, including retries.
        on_wait: Called with the reason before the first retry of a request.

    Raises:
        UserError: Raised by every method, with one line that says how to fix the problem.
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
        if not 0 < deadline <= MAX_DEADLINE:
            raise UserError(
                f"`deadline`: expected more than 0 and at most {MAX_DEADLINE:,.0f} seconds. Received: {deadline}"
            )
        transport = GrpcTransport if grpc else RestTransport
        self._transport: Transport = transport(host, model, version_label)
        self._host, self._model = host, model
        self._deadline, self._on_wait = deadline, on_wait
        self._signatures: dict[str, Signature] = {}

    def sample(self, seeds: npt.ArrayLike, psi: npt.ArrayLike = 1.0, labels: npt.ArrayLike | None = None) -> np.ndarray:
        """The images of seeds. The same seed always gives the same image.

        Args:
            seeds: Seeds, int64 [N].
            psi: Scale of the latents, one float or [N]. 1: as in training. Lower values give more typical, less diverse
                images.
            labels: Class numbers, one int or [N], for a conditional model only.

        Returns:
            uint8 [N, height, width, channels].
        """
        inputs = {"seed": _integers("seeds", seeds), "psi": np.asarray(psi, np.float32)}
        return self._predict("sample", inputs, labels)["images"]

    def sample_png(self, seeds: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> list[bytes]:
        """The images of seeds as PNG files, encoded by the server. The arguments are as for `sample`, without psi."""
        return list(self._predict("sample_png", {"seed": _integers("seeds", seeds)}, labels)["image_bytes"])

    def interpolate(
        self, seed_from: npt.ArrayLike, seed_to: npt.ArrayLike, t: npt.ArrayLike, labels: npt.ArrayLike | None = None
    ) -> np.ndarray:
        """Images between those of two seeds, by spherical interpolation of the latents.

        Args:
            seed_from: First seed, one int or [N].
            seed_to: Last seed, one int or [N].
            t: Positions, float [N], from 0 for the first seed's image to 1 for the last one's.
            labels: As for `sample`.

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
        """The discriminator's judgment of images.

        Args:
            images: Images, uint8 [N, height, width, channels], of the model's size (see `image_shape`).
            labels: As for `sample`.

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
        """The height, width and channels of the model's images."""
        return self._signature("sample").outputs["images"][1:]

    def status(self) -> list[VersionStatus]:
        """The versions that the server has or had, newest first."""
        return self._ask(self._transport.status)

    def _predict(
        self, signature: str, inputs: dict[str, np.ndarray], labels: npt.ArrayLike | None
    ) -> dict[str, np.ndarray]:
        shapes = self._signature(signature)
        conditional = "label" in shapes.inputs
        if conditional and labels is None:
            raise UserError("`label`: expected the number of a class, because the model is conditional")
        if labels is not None:
            if not conditional:
                raise UserError("`label`: expected none, because the model is not conditional. Remove it")
            inputs = {**inputs, "label": _integers("labels", labels)}
        inputs = _same_rows(inputs)
        rows = len(next(iter(inputs.values())))
        # A PNG file is hardly larger than its image, so the size of the images from `sample` serves as a bound.
        values_per_row = max(shapes.values_per_row, self._signature("sample").values_per_row)
        at_once = min(ROWS_PER_REQUEST, MAX_VALUES // values_per_row)
        parts = []
        with progress.bar(total=rows, desc=signature, unit=" rows", delay=2, leave=False) as shown:
            for start in range(0, rows, at_once):
                part = {name: values[start : start + at_once] for name, values in inputs.items()}
                count = min(at_once, rows - start)
                outputs = {name: (count, *shape[1:]) for name, shape in shapes.outputs.items()}
                parts.append(self._ask(functools.partial(self._transport.predict, signature, part, outputs)))
                shown.update(count)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _signature(self, name: str) -> Signature:
        if not self._signatures:
            self._signatures = self._ask(self._transport.signatures)
        if not {name, "sample", "sample_png"} <= self._signatures.keys():  # A model of points makes no PNG files.
            names = ", ".join(each for each in sorted(self._signatures) if not each.startswith("__"))
            raise UserError(
                f"`model`: expected a model of images with the signature '{name}', exported by dcgan_tf. "
                f"'{self._model}' has only: {names[:300]}"
            )
        signature = self._signatures[name]
        if not signature.is_ours(name):
            raise UserError(
                f"`model`: expected a model of images, exported by dcgan_tf. The signature '{name}' of '{self._model}' "
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
                # Jitter: clients that lost their server at the same time must not all return at the same time.
                pause = longest_pause * random.uniform(0.5, 1)
                if time.monotonic() + pause >= end:
                    raise UserError(
                        f"`host`: expected a server that answers within {self._deadline:g} seconds. "
                        f"Received from '{self._host}': {error}. Start the server, or give a longer `deadline`"
                    ) from None
                if longest_pause == FIRST_PAUSE_SECONDS:
                    self._on_wait(str(error))
                time.sleep(pause)
                longest_pause = min(MAX_PAUSE_SECONDS, 2 * longest_pause)


def _integers(name: str, values: npt.ArrayLike) -> np.ndarray:
    array = np.asarray(values)
    if array.size and (array.dtype.kind not in "iu" or int(array.max()) >= 2**63):
        received = " ".join(repr(values).split())[:200]
        raise UserError(f"{name}: expected whole numbers below 2**63. Received: {received}")
    return array.astype(np.int64)


def _same_rows(inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Repeats single values, so that all inputs have the same number of rows."""
    rows = max((len(values) for values in inputs.values() if values.ndim), default=1)
    if not rows:
        raise UserError("expected at least one row. Received: an empty batch")
    repeated = {name: values if values.ndim else np.repeat(values, rows) for name, values in inputs.items()}
    if len({len(values) for values in repeated.values()}) > 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in repeated.items())
        raise UserError(f"expected the same number of rows in every input. Received: {lengths}")
    return repeated
