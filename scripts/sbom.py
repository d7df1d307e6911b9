#!/usr/bin/env python3
"""Writes a bill of materials in CycloneDX 1.6: every package of Cargo.lock and of requirements/runtime.txt.

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
    """The wheels of the runtime."""
    text = (PROJECT / "requirements" / "runtime.txt").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = []
    for name, version in re.findall(r"^([\w.-]+)==([\w.+-]+)", text, flags=re.MULTILINE):
        purl = f"pkg:pypi/{name.lower()}@{version}"
        found.append({"type": "library", "bom-ref": purl, "purl": purl, "name": name, "version": version})
    return found


def main() -> int:
    """Writes the file that the first argument names."""
    manifest = tomllib.loads((PROJECT / "Cargo.toml").read_text(encoding="utf-8"))
    version = manifest["workspace"]["package"]["version"]
    subject = {"type": "application", "bom-ref": "docket", "name": "docket", "version": version}
    components = cargo() + python()
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
