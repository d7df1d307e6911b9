"""Writes rankings, judgments and what `trec_eval` says of them.

`python scripts/trec_eval_reference.py > domain/tests/rules/trec_eval.json`; the judge is `pytrec_eval`, which wraps the
original program. Scores are drawn from few values, so that ties are common.
"""

from __future__ import annotations

import json
import random
import sys
from typing import Any

import pytrec_eval  # pyright: ignore[reportMissingTypeStubs]

SEED = 20_260_101
QUESTIONS = 40
MEASURES = ("recall_10", "map_cut_10", "ndcg_cut_10", "recip_rank_10")
CUT = 10


def reference() -> list[dict[str, Any]]:
    """One entry for each question."""
    source = random.Random(SEED)
    runs: dict[str, dict[str, float]] = {}
    judgments: dict[str, dict[str, int]] = {}
    for number in range(QUESTIONS):
        documents = [f"d{source.randint(0, 99)}-{place}" for place in range(source.randint(3, 30))]
        runs[f"q{number}"] = {document: source.choice([0.5, 0.25, 1 / 3, 1 / 3 + 1e-12, 2.0]) for document in documents}
        judged = [*source.sample(documents, min(len(documents), 8)), "not-found-a", "not-found-b"]
        grades = {document: source.choice([0, 1, 1, 2, 3]) for document in judged}
        grades[judged[0]] = 1
        judgments[f"q{number}"] = grades
    asked = {"recall.10", "map_cut.10", "ndcg_cut.10", "recip_rank"}
    measure: Any = pytrec_eval.RelevanceEvaluator(judgments, asked).evaluate  # pyright: ignore
    measured = measure(runs)
    for of_question in measured.values():
        # trec_eval looks for the first relevant passage in the whole ranking; the measure here is 0 behind the cut.
        whole = of_question["recip_rank"]
        of_question["recip_rank_10"] = whole if round(1 / whole) <= CUT else 0.0
    return [
        {"run": run, "judgments": judgments[name], "measures": {key: measured[name][key] for key in MEASURES}}
        for name, run in runs.items()
    ]


if __name__ == "__main__":
    lines = [json.dumps(row) for row in reference()]
    sys.stdout.write("[\n" + ",\n".join(lines) + "\n]\n")
