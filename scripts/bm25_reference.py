"""Writes texts, questions and what `bm25s` finds for them.

`python scripts/bm25_reference.py > tests/retrieval/bm25_reference.json`. The texts are made up from a seeded,
Zipf-like vocabulary; the package's Lucene variant with k1 1.2 and b 0.75 ranks them. Most have more than 40 words,
where Lucene and tantivy keep lengths in steps of about 5 %, and docket does not.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import bm25s  # pyright: ignore[reportMissingTypeStubs]

SEED = 20_260_101
TEXTS = 500
QUESTIONS = 60
VOCABULARY = 4_000


def words(source: random.Random, count: int) -> list[str]:
    """Words whose frequency falls with their number, as in real texts."""
    return [f"w{int(source.paretovariate(0.4)) % VOCABULARY}" for _ in range(count)]


def reference() -> dict[str, Any]:
    """Texts, questions and the ten best texts of each question that share a word with it."""
    source = random.Random(SEED)
    texts = [words(source, source.randint(5, 120)) for _ in range(TEXTS)]
    retriever: Any = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    retriever.index(texts, show_progress=False)
    questions: list[dict[str, Any]] = []
    for _ in range(QUESTIONS):
        question = words(source, source.randint(3, 9))
        found, scores = retriever.retrieve([question], k=10, show_progress=False)
        best = [int(text) for text, score in zip(found[0], scores[0], strict=True) if score > 0]
        questions.append({"text": " ".join(question), "found": best})
    return {"texts": [" ".join(text) for text in texts], "questions": questions}


if __name__ == "__main__":
    json.dump(reference(), sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")
