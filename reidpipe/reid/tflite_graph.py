"""An exported OSNet as TFLite sees it: channels last, a short list of steps, constants apart.

The converters that exist bring TensorFlow, or JAX and transformers, of several hundred megabytes each, and fix the
batch. OSNet needs seventeen operators, so they are written down here.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import WeightsError

Array = NDArray[Any]
GATE = "gate"  # part of the names of a gate's nodes
SPATIAL = (1, 2)


@dataclass(frozen=True, slots=True)
class Step:
    """One operator.

    Attributes:
        kind: TFLite's name for it.
        inputs: Names of tensors and constants.
        output: Name of its result.
        options: Settings by TFLite's names; see :mod:`reidpipe.reid.tflite_file`.
        relu: Ends with a ReLU.
        exact: Stays in float32 when the rest becomes INT8: gates see one value per channel, and instance norm divides
            by a deviation that may be small.
    """

    kind: str
    inputs: tuple[str, ...]
    output: str
    options: dict[str, Any] = field(default_factory=dict)
    relu: bool = False
    exact: bool = False


@dataclass(slots=True)
class Graph:
    """A net.

    Attributes:
        input: Name of the input, float32 `(N, H, W, 3)`.
        output: Name of the result, float32 `(N, dim)`.
        steps: In the order of computation.
        constants: Weights by name, channels last.
        shapes: `(H, W, C)` or `(dim,)` of every tensor that is no constant.
    """

    input: str
    output: str
    steps: list[Step]
    constants: dict[str, Array]
    shapes: dict[str, tuple[int, ...]]


def read_graph(model: Any) -> Graph:
    """Read the result of :func:`optimised`.

    Raises:
        WeightsError: An operator that no OSNet has.
    """
    return _Reader(model).graph()


def optimised(onnx_file: Path) -> Any:
    """An ONNX model after onnxruntime's basic passes: constants folded, batch norms gone into the convolutions."""
    import onnx
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(str(onnx_file), options, providers=["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)


class _Reader:
    """Turns ONNX nodes into steps, one after the other."""

    def __init__(self, model: Any) -> None:
        from onnx import helper, numpy_helper

        self._nodes = model.graph.node
        self._weights = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
        self._attribute = helper.get_attribute_value
        self._uses = Counter(name for node in self._nodes for name in node.input)
        given = model.graph.input[0]
        rows, columns = (axis.dim_value for axis in given.type.tensor_type.shape.dim[2:])
        self._input, self._output = given.name, model.graph.output[0].name
        self._steps: list[Step] = []
        self._constants: dict[str, Array] = {}
        self._shapes: dict[str, tuple[int, ...]] = {given.name: (rows, columns, 3)}
        self._same: dict[str, str] = {}  # names of tensors that are others under a new name

    def graph(self) -> Graph:
        """The whole net."""
        for node in self._nodes:
            method: Callable[[Any, str, dict[str, Any]], None] | None = getattr(self, f"_{node.op_type.lower()}", None)
            if method is None or node.domain not in ("", "ai.onnx"):
                raise WeightsError(f"no TFLite for the ONNX operator {node.op_type} ({node.name})")
            attributes = {entry.name: self._attribute(entry) for entry in node.attribute}
            method(node, self._same.get(node.input[0], node.input[0]), attributes)
        last = self._same.get(self._output, self._output)
        self._shapes["flat"] = (self._shapes[last][-1],)
        shape = self._constant("shape", [-1, self._shapes[last][-1]], np.int32)
        self._emit(Step("reshape", (last, shape), "flat", exact=True))
        return Graph(self._input, "flat", self._steps, self._constants, self._shapes)

    def _conv(self, node: Any, x: str, attributes: dict[str, Any]) -> None:
        weights = self._weights[node.input[1]]
        bias = self._weights[node.input[2]] if len(node.input) > 2 else np.zeros(len(weights), np.float32)
        stride, pad, kernel = attributes["strides"][0], attributes["pads"][0], weights.shape[2]
        if pad and not (stride == 1 and pad == kernel // 2):  # TFLite's own padding is not even on both sides here
            x = self._pad(x, pad)
            pad = 0
        depthwise = attributes.get("group", 1) > 1
        kind = "depthwise_conv" if depthwise else "conv"
        # (out, in, H, W) becomes (out, H, W, in); of a depthwise one (out, 1, H, W) becomes (1, H, W, out)
        axes = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
        weight = self._constant(f"{node.output[0]}.weight", weights.transpose(axes))
        names = (x, weight, self._constant(f"{node.output[0]}.bias", bias))
        rows, columns, _ = self._shapes[x]
        lost = 0 if pad else kernel - 1
        self._shapes[node.output[0]] = ((rows - lost - 1) // stride + 1, (columns - lost - 1) // stride + 1, len(bias))
        options = {"stride": stride, "same": bool(pad)}
        self._emit(Step(kind, names, node.output[0], options, exact=GATE in node.name))

    def _pad(self, x: str, size: int) -> str:
        table = self._constant("padding", [[0, 0], [size, size], [size, size], [0, 0]], np.int32)
        rows, columns, channels = self._shapes[x]
        self._shapes[f"{x}.padded"] = (rows + 2 * size, columns + 2 * size, channels)
        self._emit(Step("pad", (x, table), f"{x}.padded"))
        return f"{x}.padded"

    def _gemm(self, node: Any, x: str, attributes: dict[str, Any]) -> None:
        """A fully connected layer is a 1x1 convolution of the pooled map: so it may be quantised per channel."""
        weights = self._weights[node.input[1]] if attributes.get("transB") else self._weights[node.input[1]].T
        weight = self._constant(f"{node.output[0]}.weight", weights[:, None, None, :])
        names = (x, weight, self._constant(f"{node.output[0]}.bias", self._weights[node.input[2]]))
        self._shapes[node.output[0]] = (1, 1, len(weights))
        self._emit(Step("conv", names, node.output[0], {"stride": 1, "same": False}))

    def _batchnormalization(self, node: Any, x: str, attributes: dict[str, Any]) -> None:
        """Goes into the convolution before it."""
        scale, offset, mean, variance = (self._weights[name] for name in node.input[1:5])
        factor = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
        before = self._steps[-1]
        if before.output != x or before.kind != "conv" or self._uses[x] > 1:
            raise WeightsError(f"no TFLite for a batch norm that follows no convolution ({node.name})")
        weight, bias = before.inputs[1:]
        self._constants[weight] = self._constants[weight] * factor[:, None, None, None].astype(np.float32)
        self._constants[bias] = ((self._constants[bias] - mean) * factor + offset).astype(np.float32)
        self._steps[-1] = replace(before, output=node.output[0])
        self._shapes[node.output[0]] = self._shapes[x]

    def _relu(self, node: Any, x: str, _attributes: dict[str, Any]) -> None:
        before = self._steps[-1]
        single = self._uses[node.input[0]] == 1
        if before.output == x and single and before.kind in {"conv", "depthwise_conv", "add"}:
            self._steps[-1] = replace(before, relu=True, output=node.output[0])
        else:
            self._emit(Step("relu", (x,), node.output[0], exact=before.output == x and before.exact))
        self._shapes[node.output[0]] = self._shapes[x]

    def _maxpool(self, node: Any, x: str, attributes: dict[str, Any]) -> None:
        """Padded with zeros, which change nothing: what comes in has been through a ReLU."""
        self._pool("max_pool", node, self._pad(x, attributes["pads"][0]) if attributes["pads"][0] else x, attributes)

    def _averagepool(self, node: Any, x: str, attributes: dict[str, Any]) -> None:
        self._pool("average_pool", node, x, attributes)

    def _pool(self, kind: str, node: Any, x: str, attributes: dict[str, Any]) -> None:
        size, stride = attributes["kernel_shape"][0], attributes["strides"][0]
        rows, columns, channels = self._shapes[x]
        self._shapes[node.output[0]] = ((rows - size) // stride + 1, (columns - size) // stride + 1, channels)
        self._emit(Step(kind, (x,), node.output[0], {"size": size, "stride": stride}))

    def _globalaveragepool(self, node: Any, x: str, _attributes: dict[str, Any]) -> None:
        self._mean(x, node.output[0])

    def _mean(self, x: str, output: str, *, exact: bool = False) -> str:
        self._shapes[output] = (1, 1, self._shapes[x][-1])
        self._emit(Step("mean", (x, self._constant("axes", SPATIAL, np.int32)), output, exact=exact))
        return output

    def _flatten(self, node: Any, x: str, _attributes: dict[str, Any]) -> None:
        self._same[node.output[0]] = x

    def _sigmoid(self, node: Any, x: str, _attributes: dict[str, Any]) -> None:
        self._shapes[node.output[0]] = self._shapes[x]
        self._emit(Step("logistic", (x,), node.output[0], exact=True))

    def _elementwise(self, kind: str, node: Any) -> None:
        names = tuple(self._operand(name) for name in node.input)
        shapes = [self._shapes[name] for name in names if name in self._shapes]
        self._shapes[node.output[0]] = max(shapes, key=lambda shape: shape[0] * shape[1] * shape[2])
        self._emit(Step(kind, names, node.output[0]))

    def _add(self, node: Any, _x: str, _attributes: dict[str, Any]) -> None:
        self._elementwise("add", node)

    def _mul(self, node: Any, _x: str, _attributes: dict[str, Any]) -> None:
        self._elementwise("mul", node)

    def _concat(self, node: Any, _x: str, _attributes: dict[str, Any]) -> None:
        names = tuple(self._same.get(name, name) for name in node.input)
        rows, columns, _ = self._shapes[names[0]]
        self._shapes[node.output[0]] = (rows, columns, sum(self._shapes[name][-1] for name in names))
        self._emit(Step("concat", names, node.output[0]))

    def _instancenormalization(self, node: Any, x: str, attributes: dict[str, Any]) -> None:
        """`(x - mean) * rsqrt(variance + epsilon) * scale + offset`, over each image by itself."""
        out, channels = node.output[0], self._shapes[x][-1]
        small, full = (1, 1, channels), self._shapes[x]
        epsilon = self._constant(f"{out}.epsilon", np.full(1, attributes.get("epsilon", 1e-5)))
        scale, offset = (self._constant(f"{out}.{name}", self._weights[node.input[1 + place]])
                         for place, name in enumerate(("scale", "offset")))  # fmt: skip
        mean = self._mean(x, f"{out}.mean", exact=True)
        steps = [
            (full, Step("squared_difference", (x, mean), f"{out}.squares")),
            (small, Step("mean", (f"{out}.squares", self._constant("axes", SPATIAL, np.int32)), f"{out}.variance")),
            (small, Step("add", (f"{out}.variance", epsilon), f"{out}.safe")),
            (small, Step("rsqrt", (f"{out}.safe",), f"{out}.inverse")),
            (small, Step("mul", (f"{out}.inverse", scale), f"{out}.factor")),
            (full, Step("sub", (x, mean), f"{out}.centred")),
            (full, Step("mul", (f"{out}.centred", f"{out}.factor"), f"{out}.scaled")),
            (full, Step("add", (f"{out}.scaled", offset), out)),
        ]
        for shape, step in steps:
            self._shapes[step.output] = shape
            self._emit(replace(step, exact=True))

    def _operand(self, name: str) -> str:
        """A tensor's name, or a constant's: `(1, C, 1, 1)` becomes `(1, 1, 1, C)`."""
        if name not in self._weights:
            return self._same.get(name, name)
        value = self._weights[name]
        return self._constant(name, value.reshape(1, -1, 1, 1).transpose(0, 2, 3, 1))

    def _constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        array = np.ascontiguousarray(value, dtype=dtype)
        if name == "padding":
            name = f"padding{array.max()}"
        self._constants[name] = array
        return name

    def _emit(self, step: Step) -> None:
        self._steps.append(step)
