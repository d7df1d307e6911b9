"""Writes the demo cases of the two fictional regulators to demo/*.jsonl, the same bytes at every run.

Usage: python scripts/make_demo_cases.py [--check]
"""

from __future__ import annotations

import json
import random
import sys
from datetime import date, timedelta
from pathlib import Path

from demo_words import REGULATORS, Regulator

FOLDER = Path(__file__).resolve().parent.parent / "demo"
CASES_PER_REGULATOR = 150
FIRST_DAY = date(2025, 1, 6)
LAST_DAY = date(2026, 6, 26)

SEVERITIES = {"low": 30, "medium": 40, "high": 22, "critical": 8}
CONFIDENTIALITIES = {"public": 55, "internal": 33, "restricted": 12}
# Old cases are mostly closed, young ones mostly open; every state occurs.
OLD_STATES = {
    "closed": 62,
    "decided": 12,
    "withdrawn": 10,
    "under_review": 6,
    "escalated": 5,
    "awaiting_information": 5,
}
YOUNG_STATES = {
    "draft": 10, "submitted": 20, "under_review": 28, "awaiting_information": 14, "escalated": 8,
    "decision_proposed": 10, "decided": 5, "closed": 3, "withdrawn": 2,
}  # fmt: skip
CLOSING_STATES = {"closed", "withdrawn"}

STATE_SENTENCES = {
    "draft": "The report is not complete yet: the reporter still has to name the exact time.",
    "submitted": "The report was accepted and waits for an officer.",
    "under_review": "An officer is comparing the statements with the records on file.",
    "awaiting_information": "The clock stands still until {respondent} answers the information request.",
    "escalated": "Because the same fault occurred elsewhere this year, the case went to the senior officer.",
    "decision_proposed": "A decision under {rule} has been proposed and waits for a second officer.",
    "decided": "A breach of {rule} was found and an improvement notice issued.",
    "closed": "The measures were inspected on site and the case was closed under {rule}.",
    "withdrawn": "The reporter withdrew after the matter had been settled on the spot.",
}


def pick(chance: random.Random, weights: dict[str, int]) -> str:
    """Draws one key, as often as its weight says."""
    return chance.choices(list(weights), weights=list(weights.values()))[0]


def make_case(regulator: Regulator, number: int, opened: date, chance: random.Random) -> dict[str, object]:
    """Composes one case from the vocabulary; two to five sentences that belong together."""
    incident = chance.choice(regulator.incidents)
    words = {
        "asset": chance.choice(incident.assets),
        "place": chance.choice(regulator.places),
        "respondent": chance.choice(regulator.respondents),
        "rule": chance.choice(incident.rules),
    }
    state = pick(chance, OLD_STATES if (LAST_DAY - opened).days > 200 else YOUNG_STATES)
    reporter = chance.choice(regulator.reporters)
    sentences = [chance.choice(incident.openings)]
    if chance.random() < 0.7:
        sentences.append(
            f"It was reported by {reporter} of the day."
            if reporter == "the driver"
            else f"It was reported by {reporter}."
        )
    findings = list(incident.findings)
    chance.shuffle(findings)
    if state not in {"draft", "submitted"}:
        sentences.extend(findings[: chance.choice((1, 1, 2))])
    if state in {"under_review", "awaiting_information", "escalated"} and len(sentences) < 4:
        sentences.append(chance.choice(incident.questions))
    sentences.append(STATE_SENTENCES[state])
    severity = pick(chance, SEVERITIES)
    closed = opened + timedelta(days=chance.randint(9, 160)) if state in CLOSING_STATES else None
    narrative = " ".join(sentences).format(**words)
    return {
        "reference": f"{regulator.prefix}-{opened.year}-{number:04d}",
        "title": upper_first(incident.title.format(**words)),
        "narrative": ". ".join(upper_first(part) for part in narrative.split(". ")),
        "respondent": words["respondent"],
        "case_type": incident.case_type,
        "severity": severity,
        "confidentiality": pick(chance, CONFIDENTIALITIES),
        "state": state,
        "opened_on": opened.isoformat(),
        "closed_on": None if closed is None else min(closed, LAST_DAY).isoformat(),
        "attributes": {
            "location": words["place"],
            "asset": words["asset"],
            "rule": words["rule"],
            "reported_by": reporter,
            "people_injured": chance.choice((0, 0, 0, 0, 0, 0, 1, 2)) if severity in {"high", "critical"} else 0,
            "channel": chance.choice(("portal", "telephone", "letter", "inspection")),
        },
    }


def upper_first(text: str) -> str:
    """Capitalises the first letter and leaves the rest as it is."""
    return text[:1].upper() + text[1:]


def render(regulator: Regulator) -> str:
    """All cases of one regulator as JSON Lines, in the order of their opening."""
    # Seeded by name: a new word for one regulator leaves the other's cases alone.
    chance = random.Random(f"docket demo {regulator.slug}")
    span = (LAST_DAY - FIRST_DAY).days
    days = sorted(FIRST_DAY + timedelta(days=chance.randint(0, span)) for _ in range(CASES_PER_REGULATOR))
    cases = [make_case(regulator, number, opened, chance) for number, opened in enumerate(days, start=1)]
    return "".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases)


def main(arguments: list[str]) -> int:
    """Writes the files, or with --check says which of them differ from what would be written."""
    stale: list[str] = []
    for regulator in REGULATORS:
        path = FOLDER / f"{regulator.slug}.jsonl"
        text = render(regulator)
        if "--check" not in arguments:
            FOLDER.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
    if stale:
        sys.stderr.write(f"stale: {', '.join(stale)}; run python scripts/make_demo_cases.py\n")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
