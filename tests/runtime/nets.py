"""Tiny ONNX models, each made for one question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, parser

_HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def save(model: Any, path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    for key, value in (metadata or {}).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def says(
    path: Path,
    output: NDArray[Any],
    *,
    input_shape: Sequence[int | str],
    dtype: str = "float32",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A detector that says the same about every picture: ``output`` without the batch axis, float32 or float16."""
    batch = input_shape[0]
    answer = numpy_helper.from_array(output[None].astype(dtype), "answer")
    zero = numpy_helper.from_array(np.zeros((), dtype), "zero")
    shape = numpy_helper.from_array(np.array([-1, 1, 1], np.int64), "shape")
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["most"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "shape"], ["column"]),
        helper.make_node("Add", ["answer", "column"], ["output0"]),
    ]
    kind = _TYPES[dtype]
    graph = helper.make_graph(
        nodes,
        "says",
        [helper.make_tensor_value_info("images", kind, list(input_shape))],
        [helper.make_tensor_value_info("output0", kind, [batch, *output.shape])],
        [answer, zero, shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return save(model, path, metadata)


def finds_red(path: Path, shape: str = "batch,3,height,width", metadata: Mapping[str, str] | None = None) -> Path:
    """An end-to-end detector of one red thing: x1 y1 x2 y2 of the pixels whose red is above their green by half."""
    batch = shape.split(",")[0]
    text = f"""{_HEADER}
    net (float[{shape}] images) => (float[{batch},1,6] output)
    <int64[1] i0 = {{0}}, int64[1] i1 = {{1}}, int64[1] i2 = {{2}}, int64[1] i3 = {{3}}, int64[1] i4 = {{4}},
     int64 z = {{0}}, int64 one = {{1}}, float half = {{0.5}}, float zero = {{0.0}}>
    {{
        red = Slice(images, i0, i1, i1)
        green = Slice(images, i1, i2, i1)
        more = Sub(red, green)
        hit = Greater(more, half)
        mask = Cast<to=1>(hit)
        whole = Shape(images)
        h1 = Slice(whole, i2, i3)
        w1 = Slice(whole, i3, i4)
        h = Squeeze(h1)
        w = Squeeze(w1)
        rows_i = Range(z, h, one)
        columns_i = Range(z, w, one)
        rows = Cast<to=1>(rows_i)
        columns = Cast<to=1>(columns_i)
        rows1 = Unsqueeze(rows, i1)
        hf = Cast<to=1>(h)
        wf = Cast<to=1>(w)
        onef = Cast<to=1>(one)
        from_left = Add(columns, onef)
        from_top = Add(rows1, onef)
        from_right = Sub(wf, columns)
        from_bottom = Sub(hf, rows1)
        a = Mul(mask, from_left)
        b = Mul(mask, from_top)
        c = Mul(mask, from_right)
        d = Mul(mask, from_bottom)
        x2 = ReduceMax<axes=[2, 3], keepdims=0>(a)
        y2 = ReduceMax<axes=[2, 3], keepdims=0>(b)
        right = ReduceMax<axes=[2, 3], keepdims=0>(c)
        bottom = ReduceMax<axes=[2, 3], keepdims=0>(d)
        x1 = Sub(wf, right)
        y1 = Sub(hf, bottom)
        score = ReduceMax<axes=[2, 3], keepdims=0>(mask)
        class = Mul(score, zero)
        row = Concat<axis=1>(x1, y1, x2, y2, score, class)
        output = Unsqueeze(row, i1)
    }}"""
    return save(parser.parse_model(text), path, {"names": "{0: 'person'}", **(metadata or {})})


def averages(
    path: Path, *, shape: str = "batch,3,16,8", kind: str = "float", metadata: Mapping[str, str] | None = None
) -> Path:
    """An embedder whose vector is the mean of each input channel: shows what was done to the pixels."""
    batch = shape.split(",")[0]
    text = f"""{_HEADER}
    net ({kind}[{shape}] images) => ({kind}[{batch},3] output)
    {{
        output = ReduceMean<axes=[2, 3], keepdims=0>(images)
    }}"""
    return save(parser.parse_model(text), path, metadata)
