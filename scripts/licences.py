#!/usr/bin/env python3
"""Checks the licences of what cargo-deny does not see: Python distributions, npm packages and Go modules.

    python scripts/licences.py            fail when a licence is neither permissive nor allowed by name
    python scripts/licences.py --list     a table of everything, with where its licence was read

Python: what requirements/*.txt name, by the metadata of what is installed. npm: what the lock files of the benchmark's
peer and of Grafana's types say. Go: what the trace collector of the test stack is built from, by the licence file in
Go's module cache; what is not there yet is counted and left out. What says nothing, or something else than it should,
stands in scripts/licences_allowed.toml with its reason and its source; an entry that nothing needs any more is a
finding, too.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
ALLOWED = PROJECT / "scripts" / "licences_allowed.toml"
NPM_LOCKS = tuple(PROJECT / place / "package-lock.json" for place in ("bench/peers/graphile", "deploy/grafana/types"))
GO_MODULE = PROJECT / "deploy" / "standins" / "collector" / "go.mod"

#: Identifiers of SPDX. Those of deny.toml, and permissive ones that only Python and JavaScript use. "BSD" is what the
#: index calls a family of which each member is permissive.
PERMISSIVE = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BlueOak-1.0.0",
        "CC0-1.0",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Python-2.0",
        "Unicode-3.0",
        "Unlicense",
        "Zlib",
    }
)
#: Where a distribution names its licence.
FIELDS = ("License-Expression", "License", "Classifier")
#: What authors write instead of an identifier.
SPELLINGS = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "bsd": "BSD",
}
#: Classifiers of the package index.
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
#: Words that stand in the text of a licence and in no other one, the first that is found counts.
TEXTS = (
    ("Mozilla Public License", "MPL-2.0"),
    ("GNU LESSER GENERAL PUBLIC LICENSE", "LGPL"),
    ("GNU AFFERO GENERAL PUBLIC LICENSE", "AGPL"),
    ("GNU GENERAL PUBLIC LICENSE", "GPL"),
    ("Apache License", "Apache-2.0"),
    ("Neither the name of", "BSD-3-Clause"),
    ("names of its contributors may be used to endorse", "BSD-3-Clause"),
    ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
    ("Permission is hereby granted, free of charge", "MIT"),
    ("Permission to use, copy, modify, and", "ISC"),
)


class Package(NamedTuple):
    """What docket, its tests or its benchmarks use, and what it says of its licence."""

    kind: str
    name: str
    version: str
    licence: str
    read_in: str

    @property
    def key(self) -> str:
        """How an exception names it; not by version, a new one may not change its licence unseen."""
        return f"{self.kind}:{self.name}"


def is_permissive(expression: str) -> bool:
    """Whether an expression of SPDX leaves a choice in which every part is permissive."""
    inside = re.sub(r"[()]", "", expression)
    choices = [re.split(r"\s+AND\s+", choice) for choice in re.split(r"\s+OR\s+", inside)]
    # With parentheses the two may be nested the other way round: then every part has to be.
    if "(" in expression:
        choices = [[part for choice in choices for part in choice]]
    return any(all(part.strip() in PERMISSIVE for part in choice) for choice in choices)


def by_metadata(fields: list[tuple[str, str]]) -> tuple[str, str]:
    """The licence and the field that names it: an expression first, then words, then classifiers."""
    once = dict(fields)
    if once.get("License-Expression"):
        return once["License-Expression"], "License-Expression"
    words = once.get("License", "").strip()
    known = SPELLINGS.get(words.lower(), words)
    if known and "\n" not in known and re.fullmatch(r"[A-Za-z0-9.+-]+(?:\s+(?:OR|AND)\s+[A-Za-z0-9.+-]+)*", known):
        return known, "License"
    prefix = "License :: OSI Approved :: "
    named = [text.removeprefix(prefix) for field, text in fields if field == "Classifier" and text.startswith(prefix)]
    if named:
        return " AND ".join(CLASSIFIERS.get(name, name.replace(" ", "-")) for name in named), "Classifier"
    return "", "nothing says it"


def python_packages() -> Iterator[Package]:
    """Every distribution that a list names."""
    for listed in sorted((PROJECT / "requirements").glob("*.txt")):
        for name in re.findall(r"^([\w.-]+)==", listed.read_text(encoding="utf-8"), flags=re.MULTILINE):
            key = re.sub(r"[-_.]+", "-", name).lower()
            try:
                found = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                # Only the benchmark's peers may be absent: nothing else needs them.
                absent = "not installed" if listed.name == "bench.txt" else f"{listed.name} is not installed: make venv"
                yield Package("pypi", key, "", "", absent)
                continue
            fields = [(field, str(text)) for field in FIELDS for text in found.metadata.get_all(field) or []]
            licence, read_in = by_metadata(fields)
            yield Package("pypi", key, found.version, licence, read_in)


def npm_packages(lock: Path) -> Iterator[Package]:
    """Every package of a lock file, which repeats the licence of each package's own file."""
    for path, entry in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
        if path:
            name = path.rpartition("node_modules/")[2]
            yield Package("npm", name, entry["version"], entry.get("license", ""), lock.name)


def go_licence(directory: Path) -> tuple[str, str]:
    """What the licence file of a module says."""
    for file in sorted(directory.iterdir()) if directory.is_dir() else []:
        if re.match(r"(?i)(licen[cs]e|copying)", file.name) and file.is_file():
            text = re.sub(r"\s+", " ", file.read_text(encoding="utf-8", errors="replace"))
            for words, licence in TEXTS:
                if words in text:
                    return licence, file.name
    return "", "nothing says it"


def go_packages(module: Path = GO_MODULE) -> Iterator[Package]:
    """Every module that go.mod requires."""
    root = os.environ.get("GOMODCACHE") or Path(os.environ.get("GOPATH", Path.home() / "go")) / "pkg" / "mod"
    required = re.findall(r"^\s*(?:require )?([\w./~-]+) (v[\w.+-]+)", module.read_text(encoding="utf-8"), re.MULTILINE)
    for name, version in required:
        # Go writes capital letters as an exclamation mark and the small one.
        folder = re.sub(r"[A-Z]", lambda letter: "!" + letter[0].lower(), f"{name}@{version}")
        directory = Path(root) / folder
        if directory.is_dir():
            yield Package("go", name, version, *go_licence(directory))
        else:
            yield Package("go", name, version, "", "not fetched")


def allowed() -> dict[str, dict[str, str]]:
    """What is allowed by name: the licence that it has, why it may stay, and where that is said."""
    return {entry["package"]: entry for entry in tomllib.loads(ALLOWED.read_text(encoding="utf-8"))["allowed"]}


def judge(packages: list[Package], permitted: dict[str, dict[str, str]]) -> list[str]:
    """What is wrong, a line each."""
    findings: list[str] = []
    used: set[str] = set()
    for package in packages:
        if package.read_in.startswith("not "):
            used.add(package.key)
            continue
        entry = permitted.get(package.key)
        if is_permissive(package.licence):
            continue
        used.add(package.key)
        if entry is None:
            findings.append(f"{package.key} {package.version}: {package.licence or 'no licence'} ({package.read_in})")
        elif entry["says"] != package.licence:
            findings.append(f"{package.key} {package.version} says {package.licence!r}, no longer {entry['says']!r}")
    findings += [f"{key} needs no exception; take the entry out" for key in sorted(set(permitted) - used)]
    return findings


def main() -> int:
    """Looks and says what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print everything as a table")
    given = parser.parse_args()
    packages = sorted(
        {*python_packages(), *(found for lock in NPM_LOCKS for found in npm_packages(lock)), *go_packages()}
    )
    permitted = allowed()
    if given.list:
        for package in packages:
            named = permitted.get(package.key)
            shown = f"{named['licence']} (by name)" if named else package.licence or "-"
            print(f"{package.kind:<5} {package.name:<75} {package.version:<45} {shown:<34} {package.read_in}")
    findings = judge(packages, permitted)
    for finding in findings:
        print(f"FINDING {finding}")
    if findings:
        print(f"Permissive licences only; what may stay is named with its reason in {ALLOWED.relative_to(PROJECT)}")
        return 1
    missing = Counter(package.kind for package in packages if package.read_in.startswith("not "))
    for kind, count in missing.items():
        print(f"skipped: {count} of {kind}, which are not on this machine")
    seen = Counter(package.kind for package in packages if not package.read_in.startswith("not "))
    summary = ", ".join(f"{count} of {kind}" for kind, count in sorted(seen.items()))
    print(f"All checks passed: licences of {summary}; {len(permitted)} allowed by name")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
