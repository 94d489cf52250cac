"""Reads the tensors of a PyTorch file without PyTorch, and without running the code that such a file can contain."""

import collections
import dataclasses
import io
import pathlib
import pickle
import struct
import zipfile
from typing import Any

import numpy as np

from dcgan_tf.errors import UserError
from dcgan_tf.files import reason

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
TYPES = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage, which is read after the pickle in files of earlier PyTorch releases."""

    key: str
    dtype: type
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, storage: np.ndarray) -> np.ndarray:
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        if min((self.offset, *self.size, *self.stride)) < 0 or last >= len(storage):
            raise ValueError("a tensor lies outside of its storage")
        strides = [stride * storage.itemsize for stride in self.stride]
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.size, strides).copy()


class _Unpickler(pickle.Unpickler):
    """Knows only the few names that a dictionary of tensors needs, and refuses all others."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            **{("torch", name): kind for name, kind in TYPES.items()},
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it contains {module}.{name}, which is not a tensor")
        return known[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, type]:
        kind, dtype, key = pid[:3]
        if kind != "storage":
            raise pickle.UnpicklingError(f"it contains {kind!r}, which is not a storage")
        return str(key), dtype


def _rebuild(
    storage: tuple[str, type], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(*storage, offset, tuple(size), tuple(stride))


def read_tensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads a dictionary of tensors that ``torch.save`` wrote, in its present or its earlier format.

    Args:
        path: The file.

    Returns:
        Name -> array with the shape and the type of the tensor.

    Raises:
        UserError: The file is damaged, or contains anything but tensors by name.
    """
    try:
        tensors, storages = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
        if not isinstance(tensors, dict) or not all(isinstance(each, _Tensor) for each in tensors.values()):
            raise ValueError("it is not a dictionary of tensors")
        return {str(name): tensor.of(storages[tensor.key]) for name, tensor in tensors.items()}
    except (
        pickle.UnpicklingError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        EOFError,
        struct.error,
    ) as error:
        raise UserError(f"'{path}' does not hold PyTorch weights: {reason(error)}") from None
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise UserError(f"'{path}' is damaged: {reason(error)}") from None


def _read_zip(path: pathlib.Path) -> tuple[Any, dict[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = record.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("its numbers are big-endian")
        tensors = _Unpickler(io.BytesIO(archive.read(record))).load()
        kinds = {tensor.key: tensor.dtype for tensor in tensors.values()}
        return tensors, {key: np.frombuffer(archive.read(f"{folder}data/{key}"), kind) for key, kind in kinds.items()}


def _read_legacy(path: pathlib.Path) -> tuple[Any, dict[str, np.ndarray]]:
    with open(path, "rb") as file:
        if _Unpickler(file).load() != LEGACY_MAGIC:
            raise ValueError("it does not begin like a PyTorch file")
        _Unpickler(file).load()  # The version of the format, and facts about the machine
        _Unpickler(file).load()
        tensors = _Unpickler(file).load()
        kinds = {tensor.key: tensor.dtype for tensor in tensors.values()}
        storages = {}
        for key in _Unpickler(file).load():
            (count,) = struct.unpack("<q", file.read(8))
            storages[str(key)] = np.frombuffer(file.read(count * np.dtype(kinds[str(key)]).itemsize), kinds[str(key)])
        return tensors, storages
