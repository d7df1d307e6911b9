#!/usr/bin/env python3
"""Writes a bill of materials in CycloneDX 1.6: crates, Python packages, and the images that the Dockerfile builds on.

python scripts/sbom.py target/sbom.cdx.json
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]


def cargo() -> list[dict[str, Any]]:
    """The locked crates with their checksums; packages of this workspace have no source and are left out."""
    lock = tomllib.loads((PROJECT / "Cargo.lock").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = []
    for package in lock["package"]:
        if "source" not in package:
            continue
        purl = f"pkg:cargo/{package['name']}@{package['version']}"
        component: dict[str, Any] = {"type": "library", "bom-ref": purl, "purl": purl}
        component |= {"name": package["name"], "version": package["version"]}
        if "checksum" in package:
            component["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
        found.append(component)
    return found


def python() -> list[dict[str, Any]]:
    """The wheels of the runtime and those of the embedding model; what stands in both lists is named once."""
    found: dict[str, dict[str, Any]] = {}
    for listed in ("runtime.txt", "models.txt"):
        text = (PROJECT / "requirements" / listed).read_text(encoding="utf-8")
        for name, version in re.findall(r"^([\w.-]+)==([\w.+-]+)", text, flags=re.MULTILINE):
            purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
            found[purl] = {"type": "library", "bom-ref": purl, "purl": purl, "name": name, "version": version}
    return list(found.values())


def images() -> list[dict[str, Any]]:
    """The images that docket's own is built on; the compiler's is not part of it."""
    text = (PROJECT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, flags=re.MULTILINE))
    stages = re.findall(r"^FROM (\S+) AS (\w+)$", text, flags=re.MULTILINE)
    bases = {re.sub(r"\$\{(\w+)\}", lambda used: arguments[used[1]], base): stage for base, stage in stages}
    built = {stage for _, stage in stages}
    found: list[dict[str, Any]] = []
    for base, stage in bases.items():
        if base in built:
            continue
        name, _, tag = base.rpartition(":")
        purl = f"pkg:docker/{name}@{tag}"
        component = {"type": "container", "bom-ref": purl, "purl": purl, "name": name, "version": tag}
        found.append(component | {"scope": "required" if stage == stages[-1][1] else "excluded"})
    return found


def main() -> int:
    """Writes the file that the first argument names."""
    manifest = tomllib.loads((PROJECT / "Cargo.toml").read_text(encoding="utf-8"))
    version = manifest["workspace"]["package"]["version"]
    subject = {"type": "application", "bom-ref": "docket", "name": "docket", "version": version}
    components = cargo() + python() + images()
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
    }
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "target/sbom.cdx.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(components)} components")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
