"""The committed references of the measures and of BM25 are what the published packages compute today."""

from __future__ import annotations

import json
from pathlib import Path

import bm25_reference
import pytest
import trec_eval_reference

ROOT = Path(__file__).parents[2]


def test_trec_eval_judges_the_rankings_as_committed() -> None:
    committed = json.loads((ROOT / "domain/tests/rules/trec_eval.json").read_text(encoding="utf-8"))
    for old, new in zip(committed, trec_eval_reference.reference(), strict=True):
        assert old["run"] == new["run"]
        assert old["measures"] == pytest.approx(new["measures"])


def test_bm25s_finds_what_is_committed() -> None:
    committed = json.loads((ROOT / "tests/retrieval/bm25_reference.json").read_text(encoding="utf-8"))
    assert committed == bm25_reference.reference()
