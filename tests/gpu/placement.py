"""Where TensorFlow would compute a graph on a GPU machine, read from the kernels of its CUDA build, without a GPU.

The wheel for Linux holds the registrations of all GPU kernels, and which of their inputs and outputs lie in the host's
memory. So what has no GPU kernel, and what must be copied to the host within a step, can be told on any machine.
"""

import collections
import dataclasses
import functools
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import kernels, op_def_registry

# Kernels that refuse to run on a GPU while determinism is on: what TensorFlow 2.21's library says of itself.
NOT_REPRODUCIBLE = frozenset(
    {
        "AdjustContrast", "AdjustContrastv2", "Bincount", "CropAndResizeGradBoxes", "CropAndResizeGradImage",
        "DenseBincount", "DepthwiseConv2dNativeBackpropFilter", "Dilation2DBackpropFilter", "Dilation2DBackpropInput",
        "FakeQuantWithMinMaxVarsGradient", "MaxPoolGradWithArgmax", "ResizeNearestNeighborGrad",
        "SoftmaxCrossEntropyWithLogits", "SparseSoftmaxCrossEntropyWithLogits", "SparseTensorDenseMatMul",
    }
)  # fmt: skip
CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "While", "StatelessWhile"})
# Their results follow from static shapes, and are constants once the graph has been optimized.
OF_SHAPES = frozenset({"Shape", "ShapeN", "Size", "Rank"})
ALWAYS_ON_HOST = {kind.as_datatype_enum for kind in (tf.string, tf.resource, tf.variant)}
HOST_IN_CALLS = ALWAYS_ON_HOST | {tf.int32.as_datatype_enum}

Node = Any  # A NodeDef
Place = str  # "host", "device", or "constant", which both have


@dataclasses.dataclass
class Placement:
    """What a graph does on a GPU machine.

    Attributes:
        operations: Kind of operation -> how many there are.
        on_cpu: Kinds of operations without a GPU kernel for their types.
        to_host: ``operation.input`` for each kind of input that a GPU waits for while it is copied to the host.
        to_device: The same for what is computed on the host and copied to the GPU.
        not_reproducible: Kinds of operations that refuse to run there while determinism is on.
    """

    operations: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    on_cpu: set[str] = dataclasses.field(default_factory=set)
    to_host: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    to_device: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    not_reproducible: set[str] = dataclasses.field(default_factory=set)


def place(function: tf.types.experimental.ConcreteFunction) -> Placement:
    """Places the operations of a function and of those that it calls."""
    graph = function.graph.as_graph_def()
    library = {definition.signature.name: definition.node_def for definition in graph.library.function}
    placement = Placement()
    waiting, seen = [graph.node], set()
    while waiting:
        for called in _Graph(waiting.pop(), placement).place():
            if called in library and called not in seen:
                seen.add(called)
                waiting.append(library[called])
    return placement


class _Graph:
    """The nodes of one graph or function, placed from the inputs on."""

    def __init__(self, nodes: Iterable[Node], placement: Placement) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._placement = placement
        self._places: dict[str, list[Place]] = {}

    def place(self) -> Iterator[str]:
        """Places all nodes; yields the names of the functions that they call."""
        for name in self._in_order():
            node = self._nodes[name]
            self._places[name] = self._place_node(node)
            if node.op in CALLS:
                for attribute in node.attr.values():
                    yield from [attribute.func.name, *(function.name for function in attribute.list.func)]

    def _in_order(self) -> Iterator[str]:
        """The names of all nodes, each after those that it reads."""
        done: set[str] = set()
        stack = list(self._nodes)
        while stack:
            name = stack[-1]
            missing = [source for source, _ in self._sources(self._nodes[name]) if source not in done]
            missing = [source for source in missing if source in self._nodes]
            if name in done or not missing:
                stack.pop()
                if name not in done:
                    done.add(name)
                    yield name
            else:
                stack += missing

    def _sources(self, node: Node) -> list[tuple[str, int]]:
        """The node and the number of its output behind each input."""
        sources = []
        for text in node.input:
            if text.startswith("^"):
                continue
            name, *rest = text.split(":")
            number = int(rest[-1]) if rest else 0
            if len(rest) == 2 and name in self._nodes:  # node:output:number, as functions write it.
                names = [output for output, _ in _arguments(self._nodes[name], "output_arg")]
                number += names.index(rest[0])
            sources.append((name, number))
        return sources

    def _place_node(self, node: Node) -> list[Place]:
        outputs = _arguments(node, "output_arg")
        if node.op in ("Placeholder", "_Arg"):
            return ["host" if kind in HOST_IN_CALLS else "device" for _, kind in outputs]
        inputs = _arguments(node, "input_arg")
        places = [
            self._places[name][number] if name in self._places else _of_argument(kind)
            for (name, number), (_, kind) in zip(self._sources(node), inputs, strict=True)
        ]
        is_stateful = op_def_registry.get(node.op).is_stateful
        is_constant = bool(places) and set(places) == {"constant"} and not is_stateful
        if node.op == "Const" or node.op in OF_SHAPES or is_constant:
            return ["constant"] * len(outputs)
        self._placement.operations[node.op] += 1
        if node.op in NOT_REPRODUCIBLE:
            self._placement.not_reproducible.add(node.op)
        kernel = None if node.op in CALLS else _gpu_kernel(node)
        if node.op in CALLS:
            needed = ["host" if kind in HOST_IN_CALLS or name == "cond" else "device" for name, kind in inputs]
            made = ["host" if kind in HOST_IN_CALLS else "device" for _, kind in outputs]
        elif kernel is None:
            self._placement.on_cpu.add(node.op)
            needed, made = ["host"] * len(inputs), ["host"] * len(outputs)
        else:
            needed, made = (
                [
                    "host" if name in kernel.host_memory_arg or kind in ALWAYS_ON_HOST else "device"
                    for name, kind in each
                ]
                for each in (inputs, outputs)
            )
        for (name, kind), has, needs in zip(inputs, places, needed, strict=True):
            if kind not in ALWAYS_ON_HOST and has != "constant" and has != needs:
                copies = self._placement.to_host if needs == "host" else self._placement.to_device
                copies[f"{node.op}.{name}"] += 1
        return made


def _of_argument(kind: int) -> Place:
    return "host" if kind in HOST_IN_CALLS else "device"


def _arguments(node: Node, which: str) -> list[tuple[str, int]]:
    """Name and type of each input or output; a list of tensors has the same name several times."""
    arguments = []
    for argument in getattr(op_def_registry.get(node.op), which):
        if argument.type_list_attr:
            kinds = list(node.attr[argument.type_list_attr].list.type)
        else:
            count = node.attr[argument.number_attr].i if argument.number_attr else 1
            kinds = [argument.type or _type(node, argument.type_attr)] * count
        arguments += [(argument.name, kind) for kind in kinds]
    return arguments


def _gpu_kernel(node: Node) -> Any | None:
    """The registration of the GPU kernel that would run a node, if there is one."""
    for kernel in _registered(node.op):
        if all(_type(node, constraint.name) in constraint.allowed_values.list.type for constraint in kernel.constraint):
            return kernel
    return None


@functools.cache
def _registered(operation: str) -> list[Any]:
    registered = [kernel for kernel in kernels.get_registered_kernels_for_op(operation).kernel if not kernel.label]
    return [kernel for device in ("GPU", "DEFAULT") for kernel in registered if kernel.device_type == device]


def _type(node: Node, attribute: str) -> int:
    if attribute in node.attr:
        return node.attr[attribute].type
    definition = op_def_registry.get(node.op)
    return next(each.default_value.type for each in definition.attr if each.name == attribute)
