"""Writes the ONNX graph of a BERT sentence encoder from its published weights.

The weights of all-MiniLM-L6-v2 are published as safetensors; ONNX Runtime wants a graph. It is written here with the
fused operators of ONNX Runtime (`com.microsoft`), one per block of the paper (Devlin et al. 2019, BERT), so nothing is
left to graph optimisers.

The graph takes `input_ids` and `attention_mask` (int32, batch by tokens, padded on the right) and gives `token_vectors`
(float32, batch by tokens by 384). Pooling and normalisation are left to the caller, who also wants single tokens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

FUSED = "com.microsoft"
OPSET = 17
IR_VERSION = 8


@dataclass(frozen=True)
class Shape:
    """What the published configuration says about the encoder."""

    layers: int
    heads: int
    width: int
    epsilon: float

    @classmethod
    def read(cls, path: Path) -> Shape:
        """Reads `config.json` of a BERT model."""
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
            raise ValueError(f"{path}: only BERT encoders with GELU can be written")
        return cls(
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            width=int(config["hidden_size"]),
            epsilon=float(config["layer_norm_eps"]),
        )


def read_safetensors(path: Path) -> dict[str, Array]:
    """Reads the float32 tensors of a safetensors file: eight bytes of length, a JSON header, then the raw values."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header: dict[str, dict[str, Any]] = json.loads(content[8:start])
    tensors: dict[str, Array] = {}
    for name, entry in header.items():
        if entry.get("dtype") != "F32":
            continue
        begin, end = entry["data_offsets"]
        values = np.frombuffer(content[start + begin : start + end], dtype="<f4")
        tensors[name] = values.reshape(entry["shape"])
    return tensors


class GraphWriter:
    """Collects nodes and weights, and gives each a name that says where it belongs."""

    def __init__(self, weights: dict[str, Array], shape: Shape) -> None:
        self.weights = weights
        self.shape = shape
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Adds a weight."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, domain: str = FUSED, **attributes: Any) -> str:  # noqa: ANN401
        """Adds an operator with one output."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, domain=domain, **attributes))
        return output

    def embeddings(self) -> str:
        """Word plus position plus segment embedding, normalised; the segment is always 0, folded into the positions."""
        w = self.weights
        positions = w["embeddings.position_embeddings.weight"] + w["embeddings.token_type_embeddings.weight"][0]
        inputs = [
            "input_ids",
            "",
            self.constant("words", w["embeddings.word_embeddings.weight"]),
            self.constant("positions", positions),
            "",
            self.constant("embeddings.gamma", w["embeddings.LayerNorm.weight"]),
            self.constant("embeddings.beta", w["embeddings.LayerNorm.bias"]),
            "attention_mask",
        ]
        self.nodes.append(
            helper.make_node(
                "EmbedLayerNormalization",
                inputs,
                ["embeddings", "lengths"],
                name="embeddings",
                domain=FUSED,
                epsilon=self.shape.epsilon,
            )
        )
        return "embeddings"

    def linear(self, values: str, name: str, weight: Array) -> str:
        """A product with a weight that is published transposed; the bias belongs to the operator that follows."""
        return self.node("MatMul", [values, self.constant(f"{name}.weight", weight.T)], f"{name}.product", domain="")

    def residual(self, values: str, skip: str, name: str, source: str) -> str:
        """Bias, residual and layer normalisation in one operator."""
        w = self.weights
        inputs = [
            values,
            skip,
            self.constant(f"{name}.gamma", w[f"{source}.LayerNorm.weight"]),
            self.constant(f"{name}.beta", w[f"{source}.LayerNorm.bias"]),
            self.constant(f"{name}.bias", w[f"{source}.dense.bias"]),
        ]
        return self.node("SkipLayerNormalization", inputs, name, epsilon=self.shape.epsilon)

    def layer(self, index: int, values: str) -> str:
        """One transformer block: attention, then the feed-forward network, each with its residual."""
        w, source, name = self.weights, f"encoder.layer.{index}", f"layer{index}"
        parts = [f"{source}.attention.self.{part}" for part in ("query", "key", "value")]
        joined = np.concatenate([w[f"{part}.weight"].T for part in parts], axis=1)
        bias = np.concatenate([w[f"{part}.bias"] for part in parts])
        inputs = [
            values,
            self.constant(f"{name}.attention.weight", joined),
            self.constant(f"{name}.attention.bias", bias),
            "lengths",
        ]
        attended = self.node("Attention", inputs, f"{name}.attention", num_heads=self.shape.heads)
        output = f"{source}.attention.output"
        product = self.linear(attended, f"{name}.attention.output", w[f"{output}.dense.weight"])
        values = self.residual(product, values, f"{name}.attended", output)
        inner = self.linear(values, f"{name}.inner", w[f"{source}.intermediate.dense.weight"])
        inner_bias = self.constant(f"{name}.inner.bias", w[f"{source}.intermediate.dense.bias"])
        inner = self.node("BiasGelu", [inner, inner_bias], f"{name}.inner")
        product = self.linear(inner, f"{name}.outer", w[f"{source}.output.dense.weight"])
        return self.residual(
            product, values, "token_vectors" if index + 1 == self.shape.layers else name, f"{source}.output"
        )


def write_graph(weights: dict[str, Array], shape: Shape) -> ModelProto:
    """The whole encoder as a checked ONNX model."""
    writer = GraphWriter(weights, shape)
    values = writer.embeddings()
    for index in range(shape.layers):
        values = writer.layer(index, values)
    graph = helper.make_graph(
        writer.nodes,
        "sentence-encoder",
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["batch", "tokens"]),
            helper.make_tensor_value_info("attention_mask", TensorProto.INT32, ["batch", "tokens"]),
        ],
        [helper.make_tensor_value_info("token_vectors", TensorProto.FLOAT, ["batch", "tokens", shape.width])],
        writer.initializers,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(FUSED, 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="docket", ir_version=IR_VERSION)
    checker.check_model(model)  # pyright: ignore[reportUnknownMemberType]
    return model
