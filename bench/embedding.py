"""Embeddings: how long a question takes, and texts a second beside ONNX Runtime from Python, on the same threads.

PyTorch is no peer here: it would be several times the size of everything else that is installed. Both sides take texts,
make tokens of them, run the same graph in single precision over batches of like length, and give vectors.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.model import Encoder
from bench.report import Report, percentile
from bench.service import alone

if TYPE_CHECKING:
    from collections.abc import Sequence

PACE = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "release" / "examples" / "embed_pace"
# Texts of a batch of the peer; the quicker one counts.
BATCHES = (16, 32)


def measure(report: Report, *, quick: bool) -> None:
    """Questions, texts of 128 tokens, and texts of many lengths, in turns with the peer."""
    threads = os.cpu_count() or 1
    encoder = Encoder(threads)
    texts = _texts(encoder, 0.25 if quick else 1.0)
    encoder.embed(texts["bulk"][:32], 32)
    asked: list[float] = []
    peer_asked: list[float] = []
    rates: dict[str, list[float]] = {"bulk": [], "mixed": []}
    peer_rates: dict[str, list[float]] = {"bulk": [], "mixed": []}
    for _ in range(2 if quick else 3):
        found = _pace(texts, threads)
        _agree(encoder, texts["bulk"], found)
        asked.extend(found["query_ms"])
        peer_asked.extend(_each(encoder, texts["queries"]))
        for kind, reached in rates.items():
            reached.append(found[f"{kind}_per_second"])
            peer_rates[kind].append(max(_rate(encoder, texts[kind], batch) for batch in BATCHES))
    report.fact("embedding: ONNX Runtime from Python, question of 16 tokens, p50", percentile(peer_asked, 0.5), "ms")
    report.at_most("embedding: question of 16 tokens, p50", percentile(asked, 0.5), "ms", 5)
    report.fact("embedding: question of 16 tokens, p99", percentile(asked, 0.99), "ms")
    for kind, name in (("bulk", "texts of 128 tokens"), ("mixed", "texts of 8 to 250 tokens")):
        ours, theirs = statistics.median(rates[kind]), statistics.median(peer_rates[kind])
        report.fact(f"embedding: ONNX Runtime from Python, {name}, {threads} threads", theirs, "1/s")
        report.at_least(f"embedding: {name}, {threads} threads", ours, "1/s", (ours / theirs, 1.0, "ONNX Runtime"))


def _texts(encoder: Encoder, share: float) -> dict[str, list[str]]:
    """Words of one token each, so that a text has as many tokens as words, and two marks."""
    generator = random.Random(16)
    words = encoder.words()

    def texts(lengths: Sequence[int]) -> list[str]:
        return [" ".join(generator.choices(words, k=length - 2)) for length in lengths]

    many = int(256 * share)
    mixed = [generator.randrange(8, 251) for _ in range(many)]
    made = {"queries": texts([16] * int(400 * share)), "bulk": texts([128] * many), "mixed": texts(mixed)}
    for kind, length in (("queries", 16), ("bulk", 128)):
        if {len(ids) for ids in encoder.tokens(made[kind])} != {length}:
            raise RuntimeError(f"not every text has {length} tokens")
    return made


def _pace(texts: dict[str, list[str]], threads: int) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(texts, file)
        file.flush()
        command = [str(PACE), file.name, "--threads", str(threads)]
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _agree(encoder: Encoder, texts: list[str], found: dict[str, Any]) -> None:
    """Both sides must have done the same work."""
    if found["tokens"] != [len(ids) - 2 for ids in encoder.tokens(texts)]:
        raise RuntimeError("the two sides count different tokens")
    theirs = encoder.embed(texts[: len(found["vectors"])], 32)
    if float(np.abs(theirs - np.array(found["vectors"], dtype=np.float32)).max()) > 1e-4:
        raise RuntimeError("the two sides compute different vectors")


def _each(encoder: Encoder, texts: list[str]) -> list[float]:
    """Milliseconds of each text by itself."""
    found: list[float] = []
    for text in texts:
        began = time.perf_counter()
        encoder.embed([text], 1)
        found.append((time.perf_counter() - began) * 1_000)
    return found


def _rate(encoder: Encoder, texts: list[str], batch: int) -> float:
    began = time.perf_counter()
    encoder.embed(texts, batch)
    return len(texts) / (time.perf_counter() - began)


def main() -> None:
    """Embeddings alone: `python -m bench.embedding [--quick]`; the programs must be built."""
    with alone("embedding") as (_, quick):
        measure(Report(), quick=quick)


if __name__ == "__main__":
    main()
