"""Pages that lead through the code name only what there is: files, directories, links, targets of make."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
PAGES = [DOCS / "rubric.md", DOCS / "tour.md", *sorted((DOCS / "reviews").glob("*.md"))]
FILE = re.compile(r"[\w.-]+\.(?:rs|py|pyi|md|sql|toml|yml|yaml|json|jsonl|js|sh|cfg|txt|svg)")
#: What is made and not committed.
MADE = {"bench-report.json", "overload.json", "service.log"}


def committed() -> set[str]:
    """Every file of the project, whether git is there to say so or not."""
    try:
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        made = {".git", ".venv", ".docket", ".tools", "target", "node_modules"}
        paths = (path.relative_to(PROJECT) for path in PROJECT.rglob("*") if path.is_file())
        return {str(path) for path in paths if not made & set(path.parts)}
    return {line for line in done.stdout.splitlines() if (PROJECT / line).exists()}


FILES = committed()
TOP = {name.partition("/")[0] for name in FILES if "/" in name}
NAMES = {name.rpartition("/")[2] for name in FILES}


def alternatives(path: str) -> list[str]:
    """`a/{b,c}.rs` is two paths."""
    found = re.search(r"\{([^{}]*)\}", path)
    if not found or "," not in found.group(1):
        return [path]
    return [
        other for word in found.group(1).split(",") for other in alternatives(path.replace(found.group(0), word, 1))
    ]


def exists(path: str) -> bool:
    return any(PROJECT.glob(path)) if "*" in path else (PROJECT / path).exists()


def paths_in(text: str) -> set[str]:
    """The paths in code: words below a directory of the project, and single words that can be nothing else."""
    found: set[str] = set()
    for span in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        words = span.split()
        for word in (word.strip("\"'(),;:") for word in words):
            # No route, address, variable or expression.
            path = re.fullmatch(r"[\w.{*][\w.{},*-]*/[\w./{},*-]*", word)
            if path and (word.partition("/")[0] in TOP or len(words) == 1):
                found.add(word)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    dead = {path for named in paths_in(text) for path in alternatives(named) if not exists(path)}
    assert not dead
    files = {span for span in re.findall(r"`([^`\s/]+)`", text) if FILE.fullmatch(span)}
    assert not files - NAMES - MADE, "files of no directory"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        target = (page.parent / link) if link else page
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
            assert anchor[1:] in slugs, f"{link}{anchor}"


@pytest.mark.parametrize("page", [*PAGES, PROJECT / "README.md", DOCS / "operations.md"], ids=lambda page: page.stem)
def test_every_target_of_make_that_a_page_names_exists(page: Path) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, flags=re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^)(?:[A-Z_]+=\S+ )*make ([a-z][a-z0-9-]*)", text, flags=re.MULTILINE))
    assert named <= targets


def test_paths_are_read_as_people_mean_them() -> None:
    text = "`src/lib.rs`, `docket drill x`, `GET /v1/cases`, `RATE=8 loadtest/run.sh soak`, `a/{b,c}.rs`, `http://x/y`"
    assert paths_in(text) == {"src/lib.rs", "loadtest/run.sh", "a/{b,c}.rs"}
    assert alternatives("a/{b,c}.rs") == ["a/b.rs", "a/c.rs"]
