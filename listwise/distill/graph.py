"""Writes BERT encoders as ONNX graphs with block-quantized weights, by hand: no torch, no tracing.

Linear layers have int8 weights with one scale an output, and read activations in uint8 with scales fixed by
calibration. So a passage's scores do not depend on its batch mates, as they would with dynamic quantization, whose
scale is that of the whole batch. Embedding tables are stored in int8 or int4, and only the rows that a text needs
are unpacked. For comparison the same graph is written in float32, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]
Weights = Mapping[str, Array]
"""Parameters of one encoder by their name in `transformers`, without the ``bert.`` in front."""

OPSET = 23
"""The first with attention as one operator, which onnxruntime (1.24 and newer) runs in two thirds of the time of
its own MultiHeadAttention."""
MICROSOFT = "com.microsoft"
WEIGHT_LEVELS = 64
"""Largest weight of a linear layer: 7 bits, as processors without VNNI add two products in 16 bits and saturate."""
TABLE_BLOCK = 32
"""Columns that share a scale in an int4 table."""
LAYER_NORM_EPSILON = 1e-12


Range = tuple[float, float]
"""The least and the largest value that a tensor takes, as far as calibration saw."""


class Quantized(NamedTuple):
    """Names of a uint8 tensor, its scale and its zero point."""

    values: str
    scale: str
    zero: str


class GraphBuilder:
    """Collects nodes and initializers; every method returns the name of the tensor that it made."""

    def __init__(self, epsilon: float = LAYER_NORM_EPSILON) -> None:
        self._epsilon = epsilon
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Array) -> str:
        """Store a tensor once; the same name again is the same tensor."""
        if name not in self._initializers:
            self._initializers[name] = numpy_helper.from_array(np.asarray(value, order="C"), name)
        return name

    def ints(self, *values: int) -> str:
        """A vector of int64, for axes and shapes."""
        return self.constant("i" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        """A float scalar."""
        return self.constant(f"f{value!r}", np.array(value, np.float32))

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; an input of ``""`` is left out."""
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def quantized(self, x: str, name: str, span: Range) -> Quantized:
        """``x`` in uint8, with a scale and a zero point that are fixed here."""
        low, high = min(span[0], 0.0), max(span[1], 0.0)
        step = max(high - low, 1e-6) / 255
        scale = self.constant(f"{name}.step", np.array(step, np.float32))
        zero = self.constant(f"{name}.zero", np.array(round(-low / step), np.uint8))
        return Quantized(self.op("QuantizeLinear", x, scale, zero), scale, zero)

    def linear(self, x: Quantized, name: str, weight: Array, bias: Array) -> str:
        """``x @ weight.T + bias`` in float with int8 weights; ``weight`` is [outputs, inputs]."""
        stored, scales = quantize_linear(weight)
        return self.op(
            "MatMulIntegerToFloat",
            x.values,
            self.constant(f"{name}.q", stored),
            x.scale,
            self.constant(f"{name}.scale", scales),
            x.zero,
            "",
            self.constant(f"{name}.bias", bias.astype(np.float32)),
            domain=MICROSOFT,
        )

    def dense(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """``x @ weight.T + bias`` with float32 weights; ``weight`` is [outputs, inputs]."""
        product = self.op("MatMul", x, self.constant(f"{name}.weight", weight.astype(np.float32).T))
        return self.op("Add", product, self.constant(f"{name}.bias", bias.astype(np.float32)))

    def rows(self, name: str, table: Array, indices: str) -> str:
        """Rows of a table stored in float32."""
        return self.op("Gather", self.constant(name, table.astype(np.float32)), indices)

    def rows8(self, name: str, table: Array, indices: str) -> str:
        """Rows of a table stored in int8 with one scale a row."""
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-8) / 127
        stored = np.rint(table / scale).astype(np.int8)
        rows = self.op("Gather", self.constant(f"{name}.q", stored), indices)
        scales = self.op("Gather", self.constant(f"{name}.scale", scale.astype(np.float32)), indices)
        return self.op("Mul", self.op("Cast", rows, to=TensorProto.FLOAT), scales)

    def rows4(self, name: str, table: Array, indices: str) -> str:
        """Rows of a table stored in int4, two to a byte: the first half of the columns in the low bits."""
        packed, scales = quantize_table(table)
        width, blocks = table.shape[1], scales.shape[1]
        rows = self.op("Gather", self.constant(f"{name}.q", packed), indices)
        low = self.op("BitwiseAnd", rows, self.constant("low_bits", np.array(15, np.uint8)))
        four = self.constant("four", np.array(4, np.uint8))
        high = self.op("BitShift", rows, four, direction="RIGHT")
        both = self.op("Cast", self.op("Concat", low, high, axis=-1), to=TensorProto.FLOAT)
        centred = self.op("Sub", both, self.number(8.0))
        grouped = self.op("Reshape", centred, self.ints(0, 0, blocks, TABLE_BLOCK))
        chosen = self.op("Gather", self.constant(f"{name}.scale", scales), indices)
        scale = self.op("Unsqueeze", self.op("Cast", chosen, to=TensorProto.FLOAT), self.ints(-1))
        return self.op("Reshape", self.op("Mul", grouped, scale), self.ints(0, 0, width))

    def layer_norm(self, x: str, name: str, weights: Weights) -> str:
        """Layer normalisation over the last axis with ``name``'s weight and bias."""
        gain = self.constant(f"{x}.gain", weights[f"{name}.weight"])
        bias = self.constant(f"{x}.bias", weights[f"{name}.bias"])
        return self.op("LayerNormalization", x, gain, bias, axis=-1, epsilon=self._epsilon)

    def save(
        self, path: Path, inputs: Sequence[onnx.ValueInfoProto], outputs: Mapping[str, tuple[str, int]]
    ) -> None:
        """Check the graph and write it, see `model`."""
        onnx.save(self.model(inputs, outputs), path)

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Mapping[str, tuple[str, int]]
    ) -> onnx.ModelProto:
        """The graph, checked; ``outputs`` maps the public names to tensors and their ranks."""
        for public, (tensor, _) in outputs.items():
            self._nodes.append(helper.make_node("Identity", [tensor], [public]))
        declared = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
            for name, (_, rank) in outputs.items()
        ]
        graph = helper.make_graph(
            self._nodes, "listwise", list(inputs), declared, initializer=list(self._initializers.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="listwise")
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model


@dataclass(frozen=True, slots=True)
class Encoder:
    """One BERT encoder: its parameters and how to store its table of tokens."""

    name: str
    weights: Weights
    ranges: Mapping[str, Range]
    """What each linear layer was given, by its name."""
    heads: int
    table_bits: Literal[4, 8, 32]
    """32 for a graph that is in float32 as a whole."""

    @property
    def layers(self) -> int:
        """How many transformer layers there are."""
        return sum(name.endswith("attention.self.query.weight") for name in self.weights)

    @property
    def table(self) -> Array:
        """The table of tokens, [vocabulary, hidden]."""
        return self.weights["embeddings.word_embeddings.weight"]

    def tokens(self, graph: GraphBuilder, ids: str) -> str:
        """Rows of the table of tokens."""
        look_up = {4: graph.rows4, 8: graph.rows8, 32: graph.rows}[self.table_bits]
        return look_up(f"{self.name}.tokens", self.table, ids)

    def hidden(self, graph: GraphBuilder, ids: str, mask: str, kinds: str = "") -> str:
        """The last layer's states, [batch, length, hidden], of int64 ``ids``, ``mask`` and ``kinds`` of segments.

        Without ``kinds``, all tokens are of the first kind.
        """
        x, seen = self._embed(graph, ids, kinds), _Mask.of(graph, ids, mask)
        for layer in range(self.layers):
            x = self._layer(graph, x, seen, layer)
        return x

    def first(self, graph: GraphBuilder, ids: str, mask: str, kinds: str = "") -> str:
        """The last layer's state of the first token, [batch, 1, hidden]: nothing else is computed there.

        What a cross-encoder classifies by; one of six layers nearly for free.
        """
        x, seen = self._embed(graph, ids, kinds), _Mask.of(graph, ids, mask)
        for layer in range(self.layers - 1):
            x = self._layer(graph, x, seen, layer)
        return self._layer(graph, x, seen, self.layers - 1, first=True)

    def linear(self, graph: GraphBuilder, x: str, *names: str) -> list[str]:
        """The linear layers ``names`` of this encoder, all of one input."""
        if self.table_bits == 32:
            return [
                graph.dense(x, name, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]) for name in names
            ]
        stored = graph.quantized(x, f"{self.name}.{names[0]}", self.ranges[names[0]])
        return [
            graph.linear(
                stored, f"{self.name}.{name}", self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
            )
            for name in names
        ]

    def _embed(self, graph: GraphBuilder, ids: str, kinds: str) -> str:
        positions = self.weights["embeddings.position_embeddings.weight"]
        segments = self.weights["embeddings.token_type_embeddings.weight"]
        length = graph.op("Gather", graph.op("Shape", ids), graph.constant("one", np.array(1, np.int64)))
        zero, one = graph.constant("zero", np.array(0, np.int64)), graph.constant("one", np.array(1, np.int64))
        places = graph.op("Range", zero, length, one)
        look_up = graph.rows if self.table_bits == 32 else graph.rows8
        # The first kind of segment goes into the positions, and only what another one differs by is added.
        placed = look_up(f"{self.name}.positions", positions + segments[0], places)
        x = graph.op("Add", self.tokens(graph, ids), placed)
        if kinds:
            other = graph.constant(f"{self.name}.kinds", (segments - segments[0]).astype(np.float32))
            x = graph.op("Add", x, graph.op("Gather", other, kinds))
        return graph.layer_norm(x, "embeddings.LayerNorm", self.weights)

    def _layer(self, graph: GraphBuilder, x: str, mask: _Mask, layer: int, *, first: bool = False) -> str:
        """One layer's states; ``first``: of the first token only, which attends to all the others."""
        name = f"encoder.layer.{layer}"
        inner = f"{name}.attention.self"
        if first:
            key, value = self.linear(graph, x, f"{inner}.key", f"{inner}.value")
            x = graph.op("Gather", x, graph.ints(0), axis=1)
            [query] = self.linear(graph, x, f"{inner}.query")
        else:
            query, key, value = self.linear(graph, x, f"{inner}.query", f"{inner}.key", f"{inner}.value")
        shown = mask.one if first else mask.square
        attended = graph.op("Attention", query, key, value, shown, q_num_heads=self.heads, kv_num_heads=self.heads)
        [projected] = self.linear(graph, attended, f"{name}.attention.output.dense")
        x = graph.layer_norm(graph.op("Add", projected, x), f"{name}.attention.output.LayerNorm", self.weights)
        [wide] = self.linear(graph, x, f"{name}.intermediate.dense")
        [narrow] = self.linear(graph, graph.op("Gelu", wide), f"{name}.output.dense")
        return graph.layer_norm(graph.op("Add", narrow, x), f"{name}.output.LayerNorm", self.weights)


class _Mask(NamedTuple):
    """Which tokens may be attended to, as booleans."""

    one: str
    """[batch, 1, 1, length]: by one token."""
    square: str
    """[batch, 1, length, length]: by every token."""

    @classmethod
    def of(cls, graph: GraphBuilder, ids: str, mask: str) -> _Mask:
        one = graph.op("Unsqueeze", graph.op("Cast", mask, to=TensorProto.BOOL), graph.ints(1, 2))
        length = graph.op("Shape", ids, start=1)
        shape = graph.op("Concat", graph.ints(1), graph.ints(1), length, graph.ints(1), axis=0)
        return cls(one, graph.op("Expand", one, shape))


def quantize_linear(weight: Array) -> tuple[Array, Array]:
    """Store [outputs, inputs] floats in int8 with a scale an output.

    Returns:
        int8 [inputs, outputs] and float32 [outputs].
    """
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-8) / WEIGHT_LEVELS
    return np.rint(weight / scale[:, None]).astype(np.int8).T, scale.astype(np.float32)


def quantize_table(table: Array) -> tuple[Array, Array]:
    """Pack [rows, columns] floats in 4 bits with a scale a block of columns that fits each block best.

    Returns:
        uint8 [rows, columns / 2], two columns to a byte, and float16 [rows, columns / TABLE_BLOCK].
    """
    rows, columns = table.shape
    blocks = table.reshape(rows, columns // TABLE_BLOCK, TABLE_BLOCK).astype(np.float32)
    scale = _best_scale(blocks)
    levels = np.clip(np.rint(blocks / scale) + 8, 0, 15).astype(np.uint8).reshape(rows, columns)
    low, high = levels[:, : columns // 2], levels[:, columns // 2 :]
    return low | (high << 4), scale[:, :, 0].astype(np.float16)


def _best_scale(blocks: Array) -> Array:
    """The scale with the least squared error, of a few around the largest value over 7."""
    largest = np.maximum(np.abs(blocks).max(axis=2, keepdims=True), 1e-4)
    best, least = largest / 7, np.full_like(largest, np.inf)
    for share in (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7):
        scale = (largest * share / 7).astype(np.float16).astype(np.float32)
        error = np.square(np.clip(np.rint(blocks / scale), -8, 7) * scale - blocks).sum(axis=2, keepdims=True)
        best, least = np.where(error < least, scale, best), np.minimum(error, least)
    return np.asarray(best)
