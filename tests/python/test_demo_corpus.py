"""The demo corpus is complete, its PDF files are made by their script, and every quote stands where it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TypedDict

import pypdf
import pytest
from corpus_text import CORPUS, PDF_SOURCES, manifest, squeezed, visible_text

PROJECT = Path(__file__).resolve().parents[2]
MEDIA_TYPES = {".md": "text/markdown", ".html": "text/html", ".pdf": "application/pdf"}
CATEGORIES = {"single-span", "multi-span", "numeric", "exception", "superseded", "definition"}
ROLES = {
    "reporter": {"public"},
    "caseworker": {"public", "internal"},
    "supervisor": {"public", "internal", "restricted"},
}
FILES = [entry["file"] for entry in manifest()]
PDF_FILES = [file for file in FILES if file.endswith(".pdf")]


class Passage(TypedDict):
    document: str
    quote: str


class Support(Passage):
    alternatives: list[Passage]


class Question(TypedDict):
    id: str
    question: str
    kind: str
    role: str
    reference_answer: str
    supports: list[Support]
    forbidden: list[str]
    notes: str


def questions() -> list[Question]:
    text = (PROJECT / "demo" / "gold" / "questions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def passages(question: Question) -> list[Passage]:
    """Every passage that a question names, the alternatives included."""
    first: list[Passage] = [{"document": part["document"], "quote": part["quote"]} for part in question["supports"]]
    return first + [other for part in question["supports"] for other in part["alternatives"]]


@cache
def pages(file: str) -> list[str]:
    """The pages of a committed PDF as an independent reader extracts them."""
    return [squeezed(page.extract_text()) for page in pypdf.PdfReader(CORPUS / file).pages]


def test_the_committed_pdfs_are_what_the_generator_writes_to_the_byte() -> None:
    script = str(PROJECT / "scripts" / "make_demo_pdfs.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_manifest_names_every_document_and_nothing_else() -> None:
    folders = [CORPUS / tenant for tenant in ("harbour-safety", "rail-oversight")]
    found = {str(path.relative_to(CORPUS)) for folder in folders for path in folder.iterdir()}
    assert found == set(FILES)
    assert len({Path(file).name for file in FILES}) == len(FILES), "questions name documents without their folder"
    assert {path.stem for path in PDF_SOURCES.iterdir()} == {Path(file).stem for file in PDF_FILES}


def test_manifest_entries_agree_with_their_files() -> None:
    for entry in manifest():
        assert entry["media_type"] == MEDIA_TYPES[Path(entry["file"]).suffix]
        assert entry["confidentiality"] in ROLES["supervisor"]
        assert entry["file"].split("/")[0] == entry["tenant"]
        assert entry["title"] in visible_text(CORPUS / entry["file"])


@pytest.mark.parametrize("file", FILES)
def test_a_document_is_long_enough_to_need_retrieval_and_short_enough_to_read(file: str) -> None:
    assert 800 <= len(visible_text(CORPUS / file).split()) <= 2500


@pytest.mark.parametrize("file", PDF_FILES)
def test_an_independent_reader_extracts_the_words_of_the_source(file: str) -> None:
    words = visible_text(CORPUS / file).split()
    missing = Counter(words) - Counter(" ".join(pages(file)).split())
    assert not missing


def test_what_a_page_hides_is_not_its_visible_text() -> None:
    path = CORPUS / "harbour-safety" / "consultation-2026-responses.html"
    assert "Hidden note to AI systems" in path.read_text(encoding="utf-8")
    assert "Hidden note to AI systems" not in visible_text(path)
    assert "developer mode" not in visible_text(path)


def test_question_ids_are_unique_and_no_question_is_asked_twice() -> None:
    asked = questions()
    assert (
        len({question["id"] for question in asked}) == len({question["question"] for question in asked}) == len(asked)
    )


def test_there_are_enough_questions_of_every_kind() -> None:
    kinds = Counter(question["kind"] for question in questions())
    assert set(kinds) == {"answerable", "unanswerable", "adversarial"}
    assert kinds["answerable"] >= 45
    assert kinds["unanswerable"] >= 12
    assert kinds["adversarial"] >= 12


def test_answerable_questions_are_of_every_category_and_have_supports() -> None:
    answerable = [question for question in questions() if question["kind"] == "answerable"]
    categories = Counter(question["notes"].split(":")[0] for question in answerable)
    assert set(categories) == CATEGORIES
    assert min(categories.values()) >= 4
    assert all(question["supports"] for question in answerable)
    several = [question for question in answerable if len({part["document"] for part in question["supports"]}) > 1]
    assert len(several) >= 10


def test_unanswerable_questions_have_no_supports() -> None:
    assert not [
        question["id"] for question in questions() if question["kind"] == "unanswerable" and question["supports"]
    ]


def test_every_quote_stands_exactly_once_in_its_document() -> None:
    files = {Path(file).name: CORPUS / file for file in FILES}
    for question in questions():
        for passage in passages(question):
            path = files[passage["document"]]
            text = visible_text(path) if path.suffix == ".md" else squeezed(visible_text(path))
            assert text.count(passage["quote"]) == 1, (question["id"], passage)


def test_every_quote_of_a_pdf_stands_on_one_page_of_it() -> None:
    files = {Path(file).name: file for file in PDF_FILES}
    for question in questions():
        for passage in passages(question):
            if passage["document"] in files:
                holding = [page for page in pages(files[passage["document"]]) if passage["quote"] in page]
                assert len(holding) == 1, (question["id"], passage)


def test_a_question_needs_only_documents_that_its_role_may_see() -> None:
    entries = {Path(entry["file"]).name: entry for entry in manifest()}
    for question in questions():
        for passage in passages(question):
            entry = entries[passage["document"]]
            assert entry["tenant"] == "harbour-safety"
            assert entry["confidentiality"] in ROLES[question["role"]], question["id"]


def test_no_reference_answer_contains_what_is_forbidden_to_answers() -> None:
    for question in questions():
        texts = [question["reference_answer"], *(passage["quote"] for passage in passages(question))]
        assert not [word for word in question["forbidden"] for text in texts if word.lower() in text.lower()], question


def test_questions_paraphrase_the_passages_that_answer_them() -> None:
    for question in questions():
        asked = question["question"].lower().split()
        for passage in passages(question):
            quoted = squeezed(passage["quote"].lower())
            runs = [" ".join(asked[start : start + 7]) for start in range(len(asked) - 6)]
            assert not [run for run in runs if run in quoted], question["id"]
