"""Embeddings: how long a question takes, and texts a second beside ONNX Runtime from Python, on the same threads.

PyTorch is no peer here: it would be several times the size of everything else that is installed. All sides take texts,
make tokens of them and give vectors: docket and the peer by the same graph in single precision, over batches of like
length, and docket with products in whole numbers (`embedding.precision = "int8"`), each text by itself. They take turns
of about a second, so that a machine that changes its speed changes it for all of them.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.model import Encoder
from bench.report import Report, percentile
from bench.service import alone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PACE = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "examples" / "embed_pace"
# Texts of a batch of the peer; the quicker one counts.
BATCHES = (16, 32)
# What a side does in one turn.
QUESTIONS, TEXTS = 40, 32
KINDS = {"bulk": "texts of 128 tokens", "mixed": "texts of 8 to 250 tokens"}


class Pace:
    """docket's embedder in a process of its own, which computes when it is asked to."""

    def __init__(self, threads: int, *arguments: str) -> None:
        command = [str(PACE), "--threads", str(threads), *arguments]
        self._process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, texts: Sequence[str], urgency: str) -> dict[str, Any]:
        """Milliseconds of each call, the number of tokens of each text, and the first vectors."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the process has no pipes")
        self._process.stdin.write(json.dumps({"texts": list(texts), "urgency": urgency}) + "\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        """Ends the process."""
        self._process.communicate()


def measure(report: Report, *, quick: bool) -> None:
    """Questions, texts of 128 tokens, and texts of many lengths, in turns."""
    threads = os.cpu_count() or 1
    encoder = Encoder(threads)
    texts = _texts(encoder, turns=3 if quick else 12)
    single, whole = Pace(threads), Pace(threads, "--quantised")
    try:
        _agree(encoder, texts["bulk"][:TEXTS], single, whole)
        _questions(report, encoder, texts["queries"], single, whole)
        for kind, name in KINDS.items():
            _bulk(report, encoder, texts[kind], (f"{name}, {threads} threads", single, whole))
    finally:
        whole.close()
        single.close()


def _questions(report: Report, encoder: Encoder, texts: list[str], single: Pace, whole: Pace) -> None:
    exact: list[float] = []
    rough: list[float] = []
    theirs: list[float] = []
    for turn in _turns(texts, QUESTIONS):
        exact.extend(single(turn, "interactive")["milliseconds"])
        rough.extend(whole(turn, "interactive")["milliseconds"])
        theirs.extend(_each(encoder, turn))
    report.fact("embedding: ONNX Runtime from Python, question of 16 tokens, p50", percentile(theirs, 0.5), "ms")
    report.at_most("embedding: question of 16 tokens, p50", percentile(exact, 0.5), "ms", 5)
    report.fact("embedding: question of 16 tokens, p99", percentile(exact, 0.99), "ms")
    report.at_most("embedding: question of 16 tokens in whole numbers, p50", percentile(rough, 0.5), "ms", 5)


def _bulk(report: Report, encoder: Encoder, texts: list[str], sides: tuple[str, Pace, Pace]) -> None:
    name, single, whole = sides
    exact = rough = 0.0
    theirs = dict.fromkeys(BATCHES, 0.0)
    for turn in _turns(texts, TEXTS):
        exact += sum(single(turn, "bulk")["milliseconds"]) / 1_000
        for batch in BATCHES:
            theirs[batch] += _seconds(encoder, turn, batch)
        rough += sum(whole(turn, "bulk")["milliseconds"]) / 1_000
    best = min(theirs.values())
    many = len(texts)
    report.fact(f"embedding: ONNX Runtime from Python, {name}", many / best, "1/s")
    report.at_least(f"embedding: {name}", many / exact, "1/s", (best / exact, 1.0, "ONNX Runtime"))
    in_whole = (best / rough, 1.5, "ONNX Runtime")
    report.at_least(f"embedding: in whole numbers, {name}", many / rough, "1/s", in_whole)


def _turns(texts: list[str], size: int) -> Iterator[list[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))


def _texts(encoder: Encoder, *, turns: int) -> dict[str, list[str]]:
    """Words of one token each, so that a text has as many tokens as words, and two marks."""
    generator = random.Random(16)
    words = encoder.words()

    def texts(lengths: Sequence[int]) -> list[str]:
        return [" ".join(generator.choices(words, k=length - 2)) for length in lengths]

    mixed = [generator.randrange(8, 251) for _ in range(TEXTS * turns)]
    made = {
        "queries": texts([16] * QUESTIONS * turns),
        "bulk": texts([128] * TEXTS * turns),
        "mixed": texts(mixed),
    }
    for kind, length in (("queries", 16), ("bulk", 128)):
        if {len(ids) for ids in encoder.tokens(made[kind])} != {length}:
            raise RuntimeError(f"not every text has {length} tokens")
    return made


def _agree(encoder: Encoder, texts: list[str], single: Pace, whole: Pace) -> None:
    """All sides must do the same work; the first calls also load the models and take memory."""
    for pace in (single, whole):
        pace(texts[:1], "interactive")
        if pace(texts, "bulk")["tokens"] != [len(ids) - 2 for ids in encoder.tokens(texts)]:
            raise RuntimeError("the sides count different tokens")
    exact = np.array(single(texts, "bulk")["vectors"], dtype=np.float32)
    rough = np.array(whole(texts, "bulk")["vectors"], dtype=np.float32)
    theirs = encoder.embed(texts, 32)[: len(exact)]
    if float(np.abs(theirs - exact).max()) > 1e-4 or float((theirs * rough).sum(axis=1).min()) < 0.9:
        raise RuntimeError("the sides compute different vectors")


def _each(encoder: Encoder, texts: list[str]) -> list[float]:
    """Milliseconds of each text by itself."""
    return [_seconds(encoder, [text], 1) * 1_000 for text in texts]


def _seconds(encoder: Encoder, texts: list[str], batch: int) -> float:
    began = time.perf_counter()
    encoder.embed(texts, batch)
    return time.perf_counter() - began


def main() -> None:
    """Embeddings alone: `python -m bench.embedding [--quick]`; the programs must be built."""
    with alone("embedding") as (_, quick):
        measure(Report(), quick=quick)


if __name__ == "__main__":
    main()
