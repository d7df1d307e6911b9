"""Computes reference token numbers and sentence vectors, independently of what the service uses.

The tokens come from the published `tokenizers` package, the vectors from the equations of BERT (Devlin et al. 2019) in
numpy over the published weights. `python scripts/embedding_reference.py > tests/embedding/reference.json` writes the
file that the tests compare with.
"""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from embedding_graph import Shape, read_safetensors
from export_model import packaged
from tokenizers import Tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

TEXTS = [
    "",
    "What is the deadline for reporting an incident?",
    "A firm must report a personal data breach to the Authority within 72 hours of becoming aware of it.",
    "The licensee shall keep records of every inspection for at least five years.",
    "Naïve café, ÉCOLE and Straße: accents are folded; 漢字 stand alone.",
    "§ 12(3)(a) -- see e.g. https://example.org/rules?id=7#part, £1,000,000.00!",
    "tab\tand\nnewline   and\u00a0no-break space\u200b and a soft\u00adhyphen",
    "antidisestablishmentarianism supercalifragilisticexpialidocious",
    "word " * 300,
]
WINDOW = 256
SHOWN = 8


def normalise(values: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """Layer normalisation over the last axis."""
    centred = values - values.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon) * gamma + beta


def gelu(values: Array) -> Array:
    """The exact GELU, by the error function."""
    return values * 0.5 * (1.0 + np.vectorize(math.erf)(values / math.sqrt(2.0)))


def token_vectors(ids: list[int], weights: dict[str, Array], shape: Shape) -> Array:
    """The encoder over one text without padding."""

    def linear(values: Array, name: str) -> Array:
        return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(values: Array, name: str) -> Array:
        return normalise(values, weights[f"{name}.LayerNorm.weight"], weights[f"{name}.LayerNorm.bias"], shape.epsilon)

    words = weights["embeddings.word_embeddings.weight"][ids]
    places = weights["embeddings.position_embeddings.weight"][: len(ids)]
    values = norm(words + places + weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
    for index in range(shape.layers):
        layer = f"encoder.layer.{index}"
        heads = [
            linear(values, f"{layer}.attention.self.{part}").reshape(len(ids), shape.heads, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        ]
        query, key, value = heads
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(shape.width / shape.heads)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        attended = (shares @ value).transpose(1, 0, 2).reshape(len(ids), shape.width)
        output = f"{layer}.attention.output"
        values = norm(linear(attended, f"{output}.dense") + values, output)
        inner = gelu(linear(values, f"{layer}.intermediate.dense"))
        values = norm(linear(inner, f"{layer}.output.dense") + values, f"{layer}.output")
    return values


def sentence_vector(vectors: Array) -> Array:
    """Mean pooling, scaled to length one."""
    mean = vectors.mean(axis=0)
    return mean / np.linalg.norm(mean)


def reference() -> list[dict[str, Any]]:
    """Every text with its token numbers and the first numbers of its vector."""
    source = packaged()
    shape = Shape.read(source / "config.json")
    weights = read_safetensors(source / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(WINDOW)  # pyright: ignore[reportUnknownMemberType]
    rows: list[dict[str, Any]] = []
    for text in TEXTS:
        ids: list[int] = tokenizer.encode(text).ids
        vector = sentence_vector(token_vectors(ids, weights, shape))
        rows.append({"text": text, "ids": ids, "vector": [round(float(value), 6) for value in vector[:SHOWN]]})
    return rows


if __name__ == "__main__":
    lines = [json.dumps(row, ensure_ascii=False) for row in reference()]
    sys.stdout.write("[\n" + ",\n".join(lines) + "\n]\n")
