"""The written graph computes what the published weights and equations say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import embedding_reference
import numpy as np
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
import pytest
from embedding_graph import Shape, read_safetensors, write_graph
from export_model import packaged

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reference() -> list[dict[str, Any]]:
    return embedding_reference.reference()


def test_the_graph_gives_the_reference_vectors_also_beside_longer_texts(reference: list[dict[str, Any]]) -> None:
    source = packaged()
    model = write_graph(read_safetensors(source / "model.safetensors"), Shape.read(source / "config.json"))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    longest = max(len(row["ids"]) for row in reference)
    ids = np.array([row["ids"] + [0] * (longest - len(row["ids"])) for row in reference], dtype=np.int32)
    mask = np.array([[1] * len(row["ids"]) + [0] * (longest - len(row["ids"])) for row in reference], dtype=np.int32)
    run: Any = session.run  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    (token_vectors,) = run(["token_vectors"], {"input_ids": ids, "attention_mask": mask})
    for row, vectors in zip(reference, token_vectors, strict=True):
        vector = embedding_reference.sentence_vector(vectors[: len(row["ids"])])
        np.testing.assert_allclose(vector[: embedding_reference.SHOWN], row["vector"], atol=2e-5)


def test_the_committed_reference_is_what_the_script_computes(reference: list[dict[str, Any]]) -> None:
    committed = json.loads((ROOT / "tests/embedding/reference.json").read_text(encoding="utf-8"))
    assert [row["ids"] for row in committed] == [row["ids"] for row in reference]
    for old, new in zip(committed, reference, strict=True):
        np.testing.assert_allclose(old["vector"], new["vector"], atol=2e-6)
