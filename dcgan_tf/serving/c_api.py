"""Runs a SavedModel in the C++ loader and session of TensorFlow Serving, through the C API in the TensorFlow wheel.

It uses no TensorFlow from Python, so it starts quickly and proves that a server needs no Python code.
"""

import contextlib
import ctypes
import functools
import importlib.util
import pathlib
from collections.abc import Mapping

import numpy as np

from dcgan_tf import files

# "inputs" or "outputs" -> name of the tensor -> its name in the graph
Signature = Mapping[str, Mapping[str, str]]

_STRING = 7
_STRING_BYTES = 24
_TYPES = {1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 9: np.int64, 10: np.bool_}
_NUMBERS = {np.dtype(kind): number for number, kind in _TYPES.items()}


class SessionError(Exception):
    """The message of TensorFlow's C++ code about a model or a request that it refuses."""


class Session:
    """One loaded SavedModel.

    Args:
        directory: Folder of one version.
        signatures: Signatures by name, each with "inputs" and "outputs".

    Raises:
        SessionError: The model cannot be loaded.
    """

    def __init__(self, directory: pathlib.Path, signatures: Mapping[str, Signature]) -> None:
        self._library = _load_library()
        self._signatures = signatures
        self._status = ctypes.c_void_p(self._library.TF_NewStatus())
        self._graph = ctypes.c_void_p(self._library.TF_NewGraph())
        options = ctypes.c_void_p(self._library.TF_NewSessionOptions())
        tags = (ctypes.c_char_p * 1)(b"serve")
        with files.plain_path(directory) as path:
            self._session = ctypes.c_void_p(
                self._library.TF_LoadSessionFromSavedModel(
                    options, None, str(path).encode(), tags, 1, self._graph, None, self._status
                )
            )
        self._library.TF_DeleteSessionOptions(options)
        self._check()

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Runs a signature with its named inputs.

        Returns:
            The named outputs. Strings are arrays of Python bytes.

        Raises:
            SessionError: The inputs do not fit, or the graph refuses them.
        """
        names = self._signatures[signature]
        if inputs.keys() != names["inputs"].keys():
            raise SessionError(f"{signature} takes {sorted(names['inputs'])}. Received: {sorted(inputs)}")
        outputs = list(names["outputs"])
        feeds = (_Output * len(inputs))(*(self._find(names["inputs"][name]) for name in inputs))
        fetches = (_Output * len(outputs))(*(self._find(names["outputs"][name]) for name in outputs))
        results = (ctypes.c_void_p * len(outputs))()
        with contextlib.ExitStack() as stack:
            values = (ctypes.c_void_p * len(inputs))(*(self._to_tensor(value) for value in inputs.values()))
            for value in values:
                stack.callback(self._library.TF_DeleteTensor, ctypes.c_void_p(value))
            status = ctypes.c_void_p(self._library.TF_NewStatus())  # One per call, because many threads may call.
            stack.callback(self._library.TF_DeleteStatus, status)
            self._library.TF_SessionRun(
                self._session, None, feeds, values, len(inputs), fetches, results, len(outputs), None, 0, None, status
            )
            self._check(status)
            for result in results:
                stack.callback(self._library.TF_DeleteTensor, ctypes.c_void_p(result))
            return {name: self._to_array(result) for name, result in zip(outputs, results, strict=True)}

    def close(self) -> None:
        """Frees the model."""
        self._library.TF_CloseSession(self._session, self._status)
        self._library.TF_DeleteSession(self._session, self._status)
        self._library.TF_DeleteGraph(self._graph)
        self._library.TF_DeleteStatus(self._status)

    def _find(self, tensor_name: str) -> "_Output":
        operation, index = tensor_name.split(":")
        found = self._library.TF_GraphOperationByName(self._graph, operation.encode())
        if not found:
            raise SessionError(f"the graph has no {tensor_name}")
        return _Output(found, int(index))

    def _to_tensor(self, value: np.ndarray) -> int:
        value = np.ascontiguousarray(value)
        dimensions = (ctypes.c_int64 * value.ndim)(*value.shape)
        tensor = self._library.TF_AllocateTensor(_NUMBERS[value.dtype], dimensions, value.ndim, value.nbytes)
        ctypes.memmove(self._library.TF_TensorData(tensor), value.ctypes.data, value.nbytes)
        return tensor

    def _to_array(self, tensor: int) -> np.ndarray:
        shape = [self._library.TF_Dim(tensor, axis) for axis in range(self._library.TF_NumDims(tensor))]
        number = self._library.TF_TensorType(tensor)
        data = self._library.TF_TensorData(tensor)
        if number == _STRING:
            places = range(data, data + _STRING_BYTES * int(np.prod(shape)), _STRING_BYTES)
            strings = [
                ctypes.string_at(self._library.TF_StringGetDataPointer(place), self._library.TF_StringGetSize(place))
                for place in places
            ]
            return np.array(strings, object).reshape(shape)
        content = ctypes.string_at(data, self._library.TF_TensorByteSize(tensor))
        return np.frombuffer(content, _TYPES[number]).reshape(shape)

    def _check(self, status: ctypes.c_void_p | None = None) -> None:
        status = status or self._status
        if self._library.TF_GetCode(status):
            raise SessionError(self._library.TF_Message(status).decode(errors="replace"))


def disable_xla() -> None:
    """Calls tensorflow::DisableXlaCompilation() for this process, as TensorFlow Serving does when it starts."""
    _load_library()._ZN10tensorflow21DisableXlaCompilationEv()


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


@functools.cache
def _load_library() -> ctypes.CDLL:
    specification = importlib.util.find_spec("tensorflow")
    assert specification is not None
    assert specification.origin is not None
    library = ctypes.CDLL(str(pathlib.Path(specification.origin).parent / "libtensorflow_cc.so.2"))
    pointer, size, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p
    for name, result, arguments in (
        ("TF_NewStatus", pointer, []),
        ("TF_DeleteStatus", None, [pointer]),
        ("TF_GetCode", ctypes.c_int, [pointer]),
        ("TF_Message", text, [pointer]),
        ("TF_NewGraph", pointer, []),
        ("TF_DeleteGraph", None, [pointer]),
        ("TF_NewSessionOptions", pointer, []),
        ("TF_DeleteSessionOptions", None, [pointer]),
        (
            "TF_LoadSessionFromSavedModel",
            pointer,
            [pointer, pointer, text, pointer, ctypes.c_int, pointer, pointer, pointer],
        ),
        ("TF_CloseSession", None, [pointer, pointer]),
        ("TF_DeleteSession", None, [pointer, pointer]),
        ("TF_GraphOperationByName", pointer, [pointer, text]),
        ("TF_AllocateTensor", pointer, [ctypes.c_int, pointer, ctypes.c_int, size]),
        ("TF_DeleteTensor", None, [pointer]),
        ("TF_TensorData", pointer, [pointer]),
        ("TF_TensorByteSize", size, [pointer]),
        ("TF_TensorType", ctypes.c_int, [pointer]),
        ("TF_NumDims", ctypes.c_int, [pointer]),
        ("TF_Dim", ctypes.c_int64, [pointer, ctypes.c_int]),
        ("TF_StringGetDataPointer", pointer, [pointer]),
        ("TF_StringGetSize", size, [pointer]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
