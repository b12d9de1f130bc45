"""Steps and constants as a TFLite flatbuffer, in float32 or INT8 (arXiv 1712.05877: affine activations, weights per
channel, 32-bit biases)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reidpipe.errors import MissingExtraError
from reidpipe.reid.tflite_graph import Array, Graph, Step

Ranges = Mapping[str, tuple[float, float]]
"""Least and largest value by tensor."""

METADATA = "reidpipe"  # name of the entry that holds our facts, JSON
_KEEPS_SCALE = frozenset({"pad", "max_pool", "average_pool"})
_CHANNEL_AXIS = {"conv": 0, "depthwise_conv": 3}
# kind -> operator, options, version in float32, version in INT8
_OPERATORS: dict[str, tuple[str, str, int, int]] = {
    "add": ("ADD", "AddOptions", 1, 2),
    "average_pool": ("AVERAGE_POOL_2D", "Pool2DOptions", 1, 2),
    "concat": ("CONCATENATION", "ConcatenationOptions", 1, 2),
    "conv": ("CONV_2D", "Conv2DOptions", 1, 3),
    "depthwise_conv": ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 1, 3),
    "dequantize": ("DEQUANTIZE", "DequantizeOptions", 1, 2),
    "logistic": ("LOGISTIC", "", 1, 2),
    "max_pool": ("MAX_POOL_2D", "Pool2DOptions", 1, 2),
    "mean": ("MEAN", "ReducerOptions", 1, 2),
    "mul": ("MUL", "MulOptions", 1, 2),
    "pad": ("PAD", "PadOptions", 1, 2),
    "quantize": ("QUANTIZE", "QuantizeOptions", 1, 1),
    "relu": ("RELU", "", 1, 2),
    "reshape": ("RESHAPE", "ReshapeOptions", 1, 1),
    "rsqrt": ("RSQRT", "", 1, 2),
    "squared_difference": ("SQUARED_DIFFERENCE", "SquaredDifferenceOptions", 1, 2),
    "sub": ("SUB", "SubOptions", 1, 2),
}


def tflite_bytes(graph: Graph, facts: Mapping[str, str], *, ranges: Ranges | None = None) -> bytes:
    """A `.tflite` file: input `images` float32 `(N, H, W, 3)`, output `embeddings` float32 `(N, dim)`, N free.

    Args:
        graph: The net.
        facts: What an embedder has to know; kept as JSON in the metadata entry `reidpipe`.
        ranges: Of the values of every tensor, from calibration: makes the file INT8 inside. None = float32.

    Raises:
        MissingExtraError: `ai-edge-litert` is not installed.
    """
    import flatbuffers

    model = _Writer(graph, ranges).model(facts)
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def activation_scale(low: float, high: float) -> tuple[float, int]:
    """Scale and zero point of an INT8 activation: 0 is always met exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-8) / 255
    return scale, int(np.clip(round(-128 - low / scale), -128, 127))


def quantise_weights(
    weights: NDArray[np.float32], bias: NDArray[np.float32], *, axis: int, input_scale: float
) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.float32]]:
    """Symmetric INT8 weights with a scale per channel, the bias in units of `input_scale * scale`."""
    others = tuple(number for number in range(weights.ndim) if number != axis)
    scales = np.abs(weights).max(axis=others) / 127
    scales = np.maximum(scales, np.abs(bias) / (input_scale * 2**30))  # so that the bias fits into 32 bits
    scales = np.maximum(scales, 1e-10).astype(np.float32)
    shape = [1] * weights.ndim
    shape[axis] = -1
    small = np.clip(np.round(weights / scales.reshape(shape)), -127, 127).astype(np.int8)
    return small, np.round(bias / (input_scale * scales.astype(np.float64))).astype(np.int32), scales


class _Writer:
    """Collects the tables of the file. A tensor may be there twice, in float32 and in INT8."""

    def __init__(self, graph: Graph, ranges: Ranges | None) -> None:
        try:
            from ai_edge_litert import schema_py_generated as schema
        except ImportError as error:
            raise MissingExtraError("ai-edge-litert", extra="tflite", why="export to TFLite") from error
        self._schema: Any = schema
        self._graph, self._ranges = graph, ranges
        self._scales = {} if ranges is None else _activation_scales(graph, ranges)
        self._buffers: list[Any] = [schema.BufferT()]  # the first one is empty by definition
        self._tensors: list[Any] = []
        self._codes: list[Any] = []
        self._operators: list[Any] = []
        self._known: dict[tuple[str, bool], int] = {}

    def model(self, facts: Mapping[str, str]) -> Any:
        """The whole file as an object."""
        schema = self._schema
        first = self._activation(self._graph.input, int8=False, label="images")
        for step in self._graph.steps:
            self._write(step)
        last = self._converted(self._graph.output, int8=False)
        self._tensors[last].name = b"embeddings"
        sub = schema.SubGraphT()
        sub.name, sub.tensors, sub.operators = b"main", self._tensors, self._operators
        sub.inputs, sub.outputs = np.array([first], np.int32), np.array([last], np.int32)
        model = schema.ModelT()
        model.version, model.description = 3, b"written by reidpipe export"
        entry = schema.MetadataT()
        entry.name, entry.buffer = METADATA.encode(), self._buffer(json.dumps(dict(facts)).encode())
        model.metadata = [entry]
        model.subgraphs, model.operatorCodes, model.buffers = [sub], self._codes, self._buffers
        model.signatureDefs = [self._signature(first, last)]
        return model

    def _signature(self, first: int, last: int) -> Any:
        signature = self._schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        maps = []
        for name, index in ((b"images", first), (b"embeddings", last)):
            entry = self._schema.TensorMapT()
            entry.name, entry.tensorIndex = name, index
            maps.append(entry)
        signature.inputs, signature.outputs = [maps[0]], [maps[1]]
        return signature

    def _write(self, step: Step) -> None:
        int8 = self._ranges is not None and not step.exact
        if step.kind in _CHANNEL_AXIS:
            inputs = self._convolution_inputs(step, int8=int8)
        else:
            inputs = [self._input(name, int8=int8) for name in step.inputs]
        self._operator(step.kind, inputs, self._activation(step.output, int8=int8), step, int8=int8)

    def _input(self, name: str, *, int8: bool) -> int:
        """A constant or an activation, in the type that the operator computes in."""
        value = self._graph.constants.get(name)
        if value is None:
            return self._converted(name, int8=int8)
        if not int8 or value.dtype == np.int32:
            return self._constant(name, value)
        scale, zero = activation_scale(float(value.min()), float(value.max()))
        small = np.clip(np.round(value / scale) + zero, -128, 127).astype(np.int8)
        return self._constant(f"{name}.int8", small, scales=np.array([scale], np.float32), zero=zero)

    def _convolution_inputs(self, step: Step, *, int8: bool) -> list[int]:
        x, weight, bias = step.inputs
        weights, offsets = self._graph.constants[weight], self._graph.constants[bias]
        if not int8:
            return [self._converted(x, int8=False), self._constant(weight, weights), self._constant(bias, offsets)]
        scale, axis = self._scales[x][0], _CHANNEL_AXIS[step.kind]
        small, large, scales = quantise_weights(weights, offsets, axis=axis, input_scale=scale)
        return [
            self._converted(x, int8=True),
            self._constant(f"{weight}.int8", small, scales=scales, axis=axis),
            self._constant(f"{bias}.int32", large, scales=scales * np.float32(scale)),
        ]

    def _converted(self, name: str, *, int8: bool) -> int:
        """The index of an activation in that type; made from the other type where it is not there yet."""
        if (name, int8) not in self._known:
            other = self._known[name, not int8]
            kind = "quantize" if int8 else "dequantize"
            self._operator(kind, [other], self._activation(name, int8=int8), None, int8=True)
        return self._known[name, int8]

    def _activation(self, name: str, *, int8: bool, label: str | None = None) -> int:
        shape = self._graph.shapes[name]
        tensor = self._schema.TensorT()
        tensor.name = (label or (f"{name}.int8" if int8 else name)).encode()
        tensor.shape = np.array([1, *shape], np.int32)
        tensor.shapeSignature = np.array([-1, *shape], np.int32)
        tensor.type = self._schema.TensorType.INT8 if int8 else self._schema.TensorType.FLOAT32
        tensor.buffer, tensor.hasRank = 0, True
        if int8:
            scale, zero = self._scales[name]
            tensor.quantization = self._quantization(np.array([scale], np.float32), zero, 0)
        self._tensors.append(tensor)
        self._known[name, int8] = len(self._tensors) - 1
        return len(self._tensors) - 1

    def _constant(
        self, name: str, value: Array, *, scales: NDArray[np.float32] | None = None, zero: int = 0, axis: int = 0
    ) -> int:
        if (name, False) in self._known:
            return self._known[name, False]
        kinds = {"float32": "FLOAT32", "int32": "INT32", "int8": "INT8"}
        tensor = self._schema.TensorT()
        tensor.name, tensor.shape = name.encode(), np.array(value.shape, np.int32)
        tensor.type = getattr(self._schema.TensorType, kinds[value.dtype.name])
        tensor.buffer, tensor.hasRank = self._buffer(value.tobytes()), True
        if scales is not None:
            tensor.quantization = self._quantization(scales, zero, axis)
        self._tensors.append(tensor)
        self._known[name, False] = len(self._tensors) - 1
        return len(self._tensors) - 1

    def _quantization(self, scales: NDArray[np.float32], zero: int, axis: int) -> Any:
        found = self._schema.QuantizationParametersT()
        found.scale, found.zeroPoint = scales, np.full(len(scales), zero, np.int64)
        found.quantizedDimension = axis
        return found

    def _buffer(self, content: bytes) -> int:
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self._buffers.append(buffer)
        return len(self._buffers) - 1

    def _operator(self, kind: str, inputs: list[int], output: int, step: Step | None, *, int8: bool) -> None:
        operator, options, plain, quantised = _OPERATORS[kind]
        made = self._schema.OperatorT()
        made.opcodeIndex = self._code(operator, quantised if int8 else plain)
        made.inputs, made.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        if options:
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            made.builtinOptions = getattr(self._schema, f"{options}T")()
            if step is not None:
                self._set_options(made.builtinOptions, step)
        self._operators.append(made)

    def _set_options(self, options: Any, step: Step) -> None:
        schema, wanted = self._schema, step.options
        if hasattr(options, "padding"):
            options.padding = schema.Padding.SAME if wanted.get("same") else schema.Padding.VALID
            options.strideH = options.strideW = wanted["stride"]
        if hasattr(options, "dilationHFactor"):
            options.dilationHFactor = options.dilationWFactor = 1
        if hasattr(options, "filterHeight"):
            options.filterHeight = options.filterWidth = wanted["size"]
        if hasattr(options, "depthMultiplier"):
            options.depthMultiplier = 1
        if hasattr(options, "keepDims"):
            options.keepDims = True
        if hasattr(options, "axis"):
            options.axis = 3
        if hasattr(options, "newShape"):
            options.newShape = self._graph.constants[step.inputs[1]]
        if hasattr(options, "fusedActivationFunction"):
            kinds = schema.ActivationFunctionType
            options.fusedActivationFunction = kinds.RELU if step.relu else kinds.NONE

    def _code(self, operator: str, version: int) -> int:
        number = getattr(self._schema.BuiltinOperator, operator)
        for place, known in enumerate(self._codes):
            if (known.builtinCode, known.version) == (number, version):
                return place
        code = self._schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
        self._codes.append(code)
        return len(self._codes) - 1


def _activation_scales(graph: Graph, ranges: Ranges) -> dict[str, tuple[float, int]]:
    """Scale and zero point of every activation that may become INT8; some operators must keep their input's."""
    found = {name: activation_scale(*limits) for name, limits in ranges.items()}
    for step in graph.steps:
        if step.kind == "concat":  # all parts and the whole share one scale
            limits = [ranges[name] for name in step.inputs]
            shared = activation_scale(min(low for low, _ in limits), max(high for _, high in limits))
            found |= dict.fromkeys((*step.inputs, step.output), shared)
    for step in graph.steps:
        if step.kind in _KEEPS_SCALE:
            found[step.output] = found[step.inputs[0]]
    return found
