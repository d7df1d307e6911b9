"""Makes a sentence encoder's products of matrices products of whole numbers: weights of eight bits, one scale a column.

What is multiplied with the weights gets its scale while the model runs, from the values of that one inference (dynamic
quantisation). So a text's vector would depend on the texts beside it, and the service computes each text by itself.

Weights use seven of the eight bits. Processors without VNNI add two products of eight bits each in sixteen, which cut
off what does not fit; with seven bits it always fits, and every processor computes the same sums.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from onnx import ModelProto, TensorProto
from onnxruntime import quantization  # pyright: ignore[reportMissingTypeStubs]

if TYPE_CHECKING:
    from pathlib import Path


def quantise(model: ModelProto, target: Path) -> None:
    """Writes the model with its products, and the table of words, in whole numbers: a quarter of the size."""
    # It recommends to fuse operators first; the graph is written with fused ones.
    logging.getLogger().setLevel(logging.ERROR)
    tools: Any = quantization
    tools.quantize_dynamic(
        model,
        target,
        per_channel=True,
        reduce_range=True,
        weight_type=tools.QuantType.QInt8,
        # Operators of ONNX Runtime's own are unknown to ONNX's inference of types.
        extra_options={"DefaultTensorType": TensorProto.FLOAT},
    )
