"""A SavedModel in the C++ loader and session of TensorFlow Serving, through the C API in the TensorFlow wheel."""

import ctypes
import pathlib

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

_LIBRARY = ctypes.CDLL(str(pathlib.Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
for _name in (
    "TF_NewStatus", "TF_NewGraph", "TF_NewSessionOptions", "TF_NewBuffer", "TF_LoadSessionFromSavedModel",
    "TF_GraphOperationByName", "TF_AllocateTensor", "TF_TensorData",
):  # fmt: skip
    getattr(_LIBRARY, _name).restype = ctypes.c_void_p
_LIBRARY.TF_Message.restype = ctypes.c_char_p
_LIBRARY.TF_TensorByteSize.restype = ctypes.c_size_t
_LIBRARY.TF_Dim.restype = ctypes.c_int64


class _Buffer(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p))


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class Session:
    """Loads one SavedModel, XLA off as in the server, and runs its signatures.

    Args:
        directory: of one version.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._status = ctypes.c_void_p(_LIBRARY.TF_NewStatus())
        self._graph = ctypes.c_void_p(_LIBRARY.TF_NewGraph())
        options = ctypes.c_void_p(_LIBRARY.TF_NewSessionOptions())
        config = config_pb2.ConfigProto()
        config.experimental.disable_optimize_for_static_graph = False
        config.graph_options.optimizer_options.global_jit_level = config_pb2.OptimizerOptions.OFF
        serialized = config.SerializeToString()
        _LIBRARY.TF_SetConfig(options, serialized, ctypes.c_size_t(len(serialized)), self._status)
        self._check()
        meta_graph_buffer = _LIBRARY.TF_NewBuffer()
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = ctypes.c_void_p(
            _LIBRARY.TF_LoadSessionFromSavedModel(
                options,
                None,
                str(directory).encode(),
                tags,
                1,
                self._graph,
                ctypes.c_void_p(meta_graph_buffer),
                self._status,
            )
        )
        self._check()
        buffer = ctypes.cast(meta_graph_buffer, ctypes.POINTER(_Buffer)).contents
        meta_graph = meta_graph_pb2.MetaGraphDef()
        meta_graph.ParseFromString(ctypes.string_at(buffer.data, buffer.length))
        self.signatures = {k: v for k, v in meta_graph.signature_def.items() if not k.startswith("__")}

    def run(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Runs a signature with its named inputs and returns its named outputs."""
        definition = self.signatures[signature]
        assert inputs.keys() == definition.inputs.keys()
        names = list(definition.outputs)
        feeds = (_Output * len(inputs))(*(self._output(definition.inputs[name].name) for name in inputs))
        values = (ctypes.c_void_p * len(inputs))(*(self._to_tensor(value) for value in inputs.values()))
        fetches = (_Output * len(names))(*(self._output(definition.outputs[name].name) for name in names))
        results = (ctypes.c_void_p * len(names))()
        _LIBRARY.TF_SessionRun(
            self._session, None, feeds, values, len(inputs), fetches, results, len(names), None, 0, None, self._status
        )
        self._check()
        return {name: self._to_array(result) for name, result in zip(names, results, strict=True)}

    def _output(self, tensor_name: str) -> _Output:
        operation, index = tensor_name.split(":")
        found = _LIBRARY.TF_GraphOperationByName(self._graph, operation.encode())
        assert found, tensor_name
        return _Output(found, int(index))

    def _to_tensor(self, value: np.ndarray) -> int:
        value = np.ascontiguousarray(value)
        dimensions = (ctypes.c_int64 * value.ndim)(*value.shape)
        kind = tf.as_dtype(value.dtype).as_datatype_enum
        tensor = _LIBRARY.TF_AllocateTensor(kind, dimensions, value.ndim, ctypes.c_size_t(value.nbytes))
        ctypes.memmove(_LIBRARY.TF_TensorData(ctypes.c_void_p(tensor)), value.ctypes.data, value.nbytes)
        return tensor

    def _to_array(self, tensor: int) -> np.ndarray:
        pointer = ctypes.c_void_p(tensor)
        shape = [_LIBRARY.TF_Dim(pointer, axis) for axis in range(_LIBRARY.TF_NumDims(pointer))]
        kind = tf.as_dtype(_LIBRARY.TF_TensorType(pointer)).as_numpy_dtype
        content = ctypes.string_at(_LIBRARY.TF_TensorData(pointer), _LIBRARY.TF_TensorByteSize(pointer))
        return np.frombuffer(content, kind).reshape(shape)

    def _check(self) -> None:
        if _LIBRARY.TF_GetCode(self._status):
            raise RuntimeError(_LIBRARY.TF_Message(self._status).decode())
