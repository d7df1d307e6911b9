#!/usr/bin/env python3
"""Looks for keys, passwords and private keys in the files of the repository; prints where, never what.

    python scripts/secret_scan.py              every file that git knows, or would add
    python scripts/secret_scan.py --history    every line that was ever added
    python scripts/secret_scan.py FILE...      these files

Two ways of looking: the shapes of well-known keys, and values of high entropy that are assigned to a name such as
`api_key`. What is no secret stands in scripts/secret_scan_allowed.toml with its reason; an entry that nothing needs any
more is a finding, too.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
ALLOWED = PROJECT / "scripts" / "secret_scan_allowed.toml"
#: Where git is missing: what is made and never committed.
MADE = {".git", ".venv", ".docket", ".tools", ".sqlx.new", "target", "node_modules", "__pycache__", "reports"}
#: A larger file is data; lines of data have no names.
MAX_BYTES = 2_000_000

#: Shapes that their issuers gave their keys so that they can be found. A group, if there is one, is the secret.
SHAPES = {
    "private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----(?:\\n|\s)+[A-Za-z0-9+/]{16}",
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})\b",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "Google key": r"\bAIza[A-Za-z0-9_-]{35}",
    "Anthropic key": r"\bsk-ant-[A-Za-z0-9_-]{24,}",
    "OpenAI key": r"\bsk-(?!ant-)(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "Stripe key": r"\b[rs]k_live_[A-Za-z0-9]{16,}",
    "SendGrid key": r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    "npm token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "PyPI token": r"\bpypi-AgE[A-Za-z0-9_-]{40,}",
    "JSON Web Token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "webhook secret": r"\bwhsec_[A-Za-z0-9+/]{24,}={0,2}",
    "docket key": r"\bdk_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}\b",
    "password in a URL": r"\b[a-z][a-z0-9+.-]*://[^\s:/@\"'`<>{}$]+:([^\s:/@\"'`<>{}$%]{8,})@",
}
#: A name that promises a secret, and the literal that it gets.
ASSIGNMENT = re.compile(
    r"(?i)(?:secret|passw(?:or)?d|token|api[_-]?key|private[_-]?key|access[_-]?key|credential)[\w-]*"
    r"[\"']?\s*(?::\s*&?(?:'static )?\w*\s*)?[:=]>?\s*[\"'`]?([A-Za-z0-9+/_=.-]{16,})(?![\w(])"
)
#: A header that carries one.
HEADER = re.compile(r"(?i)\b(?:bearer|basic) ([A-Za-z0-9+/_=.-]{20,})(?![\w(])")
#: Bits for a character: English words have about 3, random base64 above 4, random hexadecimal digits just below 4.
MIN_ENTROPY = 3.5
MIN_ENTROPY_HEX = 3.0


class Finding(NamedTuple):
    """A value that looks like a secret; `digest` names it without telling it."""

    path: str
    line: int
    kind: str
    digest: str
    shown: str


def entropy(text: str) -> float:
    """Shannon's entropy, in bits for a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def is_random(value: str) -> bool:
    """Whether a literal looks drawn rather than written."""
    if not (re.search(r"\d", value) and re.search(r"[A-Za-z]", value)):
        return False
    # Words joined by signs: a path, an identifier, a host, a version.
    if re.fullmatch(r"[A-Za-z]*\d{0,4}(?:[._/-][A-Za-z]*\d{0,4})*", value):
        return False
    return entropy(value) >= (MIN_ENTROPY_HEX if re.fullmatch(r"[0-9a-fA-F-]+", value) else MIN_ENTROPY)


def scan(path: str, text: str) -> Iterator[Finding]:
    """What looks like a secret in a text."""
    found: dict[tuple[int, str], str] = {}
    for kind, shape in SHAPES.items():
        for match in re.finditer(shape, text):
            found.setdefault((match.start(), match.group(match.lastindex or 0)), kind)
    for match in (*ASSIGNMENT.finditer(text), *HEADER.finditer(text)):
        if is_random(match.group(1)) and not any(match.group(1) in value for _, value in found):
            found.setdefault((match.start(1), match.group(1)), "random value under the name of a secret")
    for (at, value), kind in sorted(found.items()):
        digest = hashlib.sha256(value.encode()).hexdigest()[:16]
        yield Finding(path, text.count("\n", 0, at) + 1, kind, digest, f"{value[:4]}… ({len(value)} characters)")


def git(*arguments: str) -> bytes | None:
    """What git says; nothing where it is missing or this is no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def files() -> list[Path]:
    """Every file that is committed or would be."""
    known = git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if known is not None:
        return [PROJECT / os.fsdecode(name) for name in known.split(b"\0") if name]
    walked = (Path(top) / name for top, _, names in os.walk(PROJECT) for name in names)
    return [path for path in walked if not MADE & set(path.relative_to(PROJECT).parts)]


def texts(paths: list[Path]) -> Iterator[tuple[str, str]]:
    """The files that hold text."""
    for path in sorted(paths):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES:
            content = path.read_bytes()
            if b"\0" not in content[:8000]:
                inside = path.is_relative_to(PROJECT)
                yield str(path.relative_to(PROJECT) if inside else path), content.decode("utf-8", "replace")


def added_lines() -> Iterator[tuple[str, str]]:
    """By file, every line that some commit added."""
    log = git("log", "--all", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--format=")
    if log is None:
        sys.exit("there is no history here")
    by_file: dict[str, list[str]] = {}
    path = ""
    for line in log.decode("utf-8", "replace").splitlines():
        if line.startswith("+++ "):
            path = line[4:].removeprefix("b/")
        elif line.startswith("+"):
            by_file.setdefault(path, []).append(line[1:])
    for name, lines in sorted(by_file.items()):
        yield name, "\n".join(lines)


def allowed() -> dict[tuple[str, str], str]:
    """What is no secret: path and digest, and why."""
    entries = tomllib.loads(ALLOWED.read_text(encoding="utf-8")).get("allowed", [])
    return {(entry["path"], entry["digest"]): entry["reason"] for entry in entries}


def main() -> int:
    """Scans and says what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--history", action="store_true", help="every line that was ever added")
    parser.add_argument("file", nargs="*", type=Path)
    given = parser.parse_args()
    whole = not (given.history or given.file)
    sources = added_lines() if given.history else texts([path.resolve() for path in given.file] or files())
    permitted, used, scanned, findings = allowed(), set[tuple[str, str]](), 0, 0
    for path, text in sources:
        scanned += 1
        for finding in scan(path, text):
            if (path, finding.digest) in permitted:
                used.add((path, finding.digest))
                continue
            findings += 1
            print(f"FINDING {path}:{finding.line}: {finding.kind}, {finding.shown}; digest {finding.digest}")
    for path, digest in sorted(set(permitted) - used) if whole else []:
        findings += 1
        print(f"FINDING {ALLOWED.name}: {digest} in {path} is not there any more; take the entry out")
    if findings:
        print("A secret that was committed is known to others: revoke it. If it is none: name it with its reason in")
        print(f"{ALLOWED.relative_to(PROJECT)}")
        return 1
    print(f"All checks passed: {scanned} files, no secrets; {len(used)} values allowed by name")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
