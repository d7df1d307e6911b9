"""Licences are read from where packages state them; what is not permissive is found unless it is allowed by name."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from licences import Package, allowed, by_metadata, go_licence, go_packages, is_permissive, judge, npm_packages

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = PROJECT / "scripts" / "licences.py"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND PSF-2.0", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND ISC", False),
        ("LGPL-3.0-only", False),
        ("MPL-2.0", False),
        ("", False),
    ],
)
def test_a_choice_is_permissive_when_one_side_is_and_a_sum_when_every_part_is(expression: str, expected: bool) -> None:
    assert is_permissive(expression) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("License-Expression", "MIT OR Apache-2.0"), ("License", "other")], "MIT OR Apache-2.0"),
        ([("License", "Apache 2.0")], "Apache-2.0"),
        ([("License", "Copyright (c) 2001"), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT"),
        ([("Classifier", "License :: OSI Approved :: GNU General Public License v3")], "GNU-General-Public-License-v3"),
        ([("Classifier", "Programming Language :: Python")], ""),
    ],
)
def test_the_metadata_of_a_distribution_names_its_licence(fields: list[tuple[str, str]], expected: str) -> None:
    assert by_metadata(fields)[0] == expected


def test_a_lock_file_names_the_licence_of_each_package_and_a_package_without_is_found(tmp_path: Path) -> None:
    lock = tmp_path / "package-lock.json"
    packages = {
        "": {},
        "node_modules/a": {"version": "1", "license": "MIT"},
        "node_modules/a/node_modules/@b/c": {"version": "2"},
    }
    lock.write_text(json.dumps({"packages": packages}), encoding="utf-8")
    found = list(npm_packages(lock))
    assert [(package.name, package.licence) for package in found] == [("a", "MIT"), ("@b/c", "")]
    assert judge(found, {}) == ["npm:@b/c 2: no licence (package-lock.json)"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mozilla Public License Version 2.0", "MPL-2.0"),
        ("GNU LESSER\nGENERAL PUBLIC LICENSE", "LGPL"),
        ("Redistribution and use in source\n   and binary forms ... Neither the name of", "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
        ("All rights reserved.", ""),
    ],
)
def test_the_licence_file_of_a_module_is_known_by_its_words(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "LICENSE.md").write_text(text, encoding="utf-8")
    assert go_licence(tmp_path)[0] == expected


def test_modules_that_are_not_fetched_are_told_apart_from_those_without_a_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOMODCACHE", str(tmp_path))
    (tmp_path / "example.org" / "!big@v1.0.0").mkdir(parents=True)
    module = tmp_path / "go.mod"
    module.write_text(
        "require (\n\texample.org/Big v1.0.0\n\texample.org/other v2.0.0 // indirect\n)\n", encoding="utf-8"
    )
    assert [package.read_in for package in go_packages(module)] == ["nothing says it", "not fetched"]


def test_an_exception_covers_what_the_package_said_when_it_was_made_and_must_be_needed() -> None:
    entry = {"a": "b", "says": "LGPL-3.0-only"}
    there = Package("pypi", "driver", "1", "LGPL-3.0-only", "License")
    assert judge([there], {there.key: entry}) == []
    assert judge([there._replace(licence="GPL-3.0-only")], {there.key: entry}) == [
        "pypi:driver 1 says 'GPL-3.0-only', no longer 'LGPL-3.0-only'"
    ]
    assert judge([there._replace(licence="MIT")], {there.key: entry}) == [
        "pypi:driver needs no exception; take the entry out"
    ]
    assert judge([], {there.key: entry}) == ["pypi:driver needs no exception; take the entry out"]


def test_every_exception_says_why_and_where_that_is_said() -> None:
    for entry in allowed().values():
        assert set(entry) == {"package", "says", "licence", "reason", "source"}
        assert len(entry["reason"].split()) >= 4


def test_everything_that_is_used_here_is_permissive_or_allowed_by_name() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--list"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if line.startswith("FINDING"))
    listed = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"pypdfium2", "graphile-worker", "go.opentelemetry.io/collector/otelcol"} <= listed


def test_the_check_is_a_step_of_what_every_change_must_pass() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"\blicences\b", makefile.partition("\ncheck:")[2].partition("\n\n")[0])
    assert "scripts/licences.py" in makefile.partition("\nlicences:")[2].partition("\n\n")[0]
