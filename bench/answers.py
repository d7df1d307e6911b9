"""Answers: the first token of the offline model, and what streaming adds to the first token of a provider."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.client import Client, until
from bench.report import Report, percentile
from bench.service import alone, docket, free_port

if TYPE_CHECKING:
    from collections.abc import Generator

STAMP = re.compile(r"asked=([0-9.]+) sent=([0-9.]+)")
# Searches are made anew for each question, so that what is warm is the model.
UNLIMITED = {"DOCKET_ANSWERS__MONTHLY_BUDGET_DOLLARS": "1000000", "DOCKET_EMBEDDING__SEARCH_CACHE": "0"}


def measure(report: Report, directory: Path, *, quick: bool) -> None:
    """The demonstration's documents, asked the questions of its gold set."""
    data_dir = directory / "answers" / "data"
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    with docket(data_dir, UNLIMITED, "demo") as service:
        demo = json.loads((data_dir / "demo.json").read_text(encoding="utf-8"))
        key: str = demo["tenants"][0]["keys"]["caseworker"]
        client = Client(service.address, key)
        until(lambda: _are_ready(client), seconds=300)
        questions = _questions()[: 20 if quick else None]
        for question in questions[:3]:
            _first_token(client, f"{question} (before)")
        new = [_first_token(client, question) for question in questions]
        again = [_first_token(client, question) for _ in range(3) for question in questions]
    report.fact("answers: first token of the offline model, new question, p50", percentile(new, 0.5), "ms")
    report.at_most("answers: first token of the offline model, warm, p50", percentile(again, 0.5), "ms", 60)
    report.fact("answers: first token of the offline model, warm, p99", percentile(again, 0.99), "ms")
    _streaming(report, data_dir, key, questions, rounds=60 if quick else 300)


def _streaming(report: Report, data_dir: Path, key: str, questions: list[str], *, rounds: int) -> None:
    """From the sending of the provider's first words to their reading, through docket and directly, in turns."""
    with _stand_in() as address:
        settings = {
            **UNLIMITED,
            "DOCKET_MODELS__CHAIN": '["compatible"]',
            "DOCKET_MODELS__COMPATIBLE__BASE_URL": f"http://{address}",
            "DOCKET_MODELS__COMPATIBLE__MODEL": "stand-in",
            "DOCKET_MODELS__PRICES": '["stand-in=1/1/1/1"]',
        }
        with docket(data_dir, settings) as service:
            client, straight = Client(service.address, key), Client(address, "none")
            through: list[float] = []
            direct: list[float] = []
            before: list[float] = []
            for turn in range(rounds + 10):
                question = questions[turn % len(questions)]
                began = time.monotonic()
                asked, late = _late(client, "/v1/answers", {"question": question})
                body: dict[str, object] = {"stream": True, "messages": [{"role": "user", "content": "x" * 4_000}]}
                _, directly_late = _late(straight, "/v1/chat/completions", body)
                # The first ones open connections.
                if turn >= 10:
                    through.append(late)
                    direct.append(directly_late)
                    before.append((asked - began) * 1_000)
    report.fact("answers: question to the provider's receipt of the request, p50", percentile(before, 0.5), "ms")
    report.fact("answers: provider's first token, sent to read, directly, p50", percentile(direct, 0.5), "ms")
    for part, limit in ((0.5, 0.5), (0.99, None)):
        added = percentile(through, part) - percentile(direct, part)
        name = f"answers: streaming adds to a provider's first token, p{part * 100:.0f}"
        if limit is None:
            report.fact(name, added, "ms")
        else:
            report.at_most(name, added, "ms", limit)


def _late(client: Client, path: str, body: dict[str, object]) -> tuple[float, float]:
    """When the provider had the request, and how many milliseconds after it was sent its first token was read."""
    found: tuple[float, float] | None = None
    for _, data in client.stream(path, body):
        read = time.monotonic()
        stamp = STAMP.search(data) if found is None else None
        if stamp:
            found = float(stamp[1]), (read - float(stamp[2])) * 1_000
    if found is None:
        raise RuntimeError("the stand-in was not heard")
    return found


def _first_token(client: Client, question: str) -> float:
    """Milliseconds from the question to its first token."""
    began = time.perf_counter()
    first: float | None = None
    for name, data in client.stream("/v1/answers", {"question": question}):
        if name == "problem":
            raise RuntimeError(data)
        if name == "token" and first is None:
            first = (time.perf_counter() - began) * 1_000
    if first is None:
        raise RuntimeError(f"no token for {question!r}")
    return first


def _questions() -> list[str]:
    lines = Path("demo/gold/questions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


def _are_ready(client: Client) -> bool:
    """Whether the demonstration's documents are read."""
    states = [document["status"] for document in client.get("/v1/documents?limit=100")["items"]]
    if "failed" in states:
        raise RuntimeError("a document of the demonstration could not be read")
    return bool(states) and all(state == "ready" for state in states)


@contextmanager
def _stand_in() -> Generator[str]:
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "bench.peers.model_stand_in", str(port)]) as process:
        try:
            until(lambda: _listens(port))
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    """Answers alone: `python -m bench.answers [--quick]`; the programs must be built."""
    with alone("answers") as (directory, quick):
        measure(Report(), directory, quick=quick)


if __name__ == "__main__":
    main()
