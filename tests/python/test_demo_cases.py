"""The demo cases are what their generator writes, and every one is a case that the service would accept."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FILES = ("harbour-safety", "rail-oversight")
STATES = {
    "draft", "submitted", "under_review", "awaiting_information", "escalated", "decision_proposed", "decided", "closed",
    "withdrawn",
}  # fmt: skip
FIELDS = {
    "reference", "title", "narrative", "respondent", "case_type", "severity", "confidentiality", "state", "opened_on",
    "closed_on", "attributes",
}  # fmt: skip


def cases(name: str) -> list[dict[str, Any]]:
    text = (PROJECT / "demo" / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_committed_files_are_what_the_generator_writes() -> None:
    script = str(PROJECT / "scripts" / "make_demo_cases.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FILES)
def test_every_case_has_exactly_the_documented_fields_and_values(name: str) -> None:
    for case in cases(name):
        assert set(case) == FIELDS, case["reference"]
        assert case["severity"] in {"low", "medium", "high", "critical"}
        assert case["confidentiality"] in {"public", "internal", "restricted"}
        assert case["state"] in STATES
        assert isinstance(case["attributes"], dict)
        assert all(case[field].strip() == case[field] != "" for field in ("title", "narrative", "respondent"))


@pytest.mark.parametrize("name", FILES)
def test_references_are_unique_and_every_state_occurs(name: str) -> None:
    found = cases(name)
    assert len(found) == 150
    assert len({case["reference"] for case in found}) == len(found)
    assert {case["state"] for case in found} == STATES


@pytest.mark.parametrize("name", FILES)
def test_only_ended_cases_have_an_end_and_none_ends_before_it_begins(name: str) -> None:
    for case in cases(name):
        ended = case["state"] in {"closed", "withdrawn"}
        assert (case["closed_on"] is not None) == ended, case["reference"]
        if ended:
            assert date.fromisoformat(case["closed_on"]) >= date.fromisoformat(case["opened_on"])


@pytest.mark.parametrize("name", FILES)
def test_narratives_are_two_to_five_whole_sentences_without_leftover_placeholders(name: str) -> None:
    for case in cases(name):
        sentences = re.split(r"(?<=\.) ", case["narrative"])
        assert 2 <= len(sentences) <= 5, case["narrative"]
        assert all(sentence[0].isupper() for sentence in sentences), case["narrative"]
        assert not re.search(r"[{}]", case["title"] + case["narrative"])


@pytest.mark.parametrize("name", FILES)
def test_no_two_cases_read_the_same(name: str) -> None:
    narratives = [case["narrative"] for case in cases(name)]
    assert len(set(narratives)) > 0.97 * len(narratives)
