"""Lets a public generator write a client from our OpenAPI document, and walks through a case with that client alone.

python walk.py URL KEY DIRECTORY

Prints one JSON object: what the generator warned of, and what the client saw. The generator is openapi-python-client.
"""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path
from typing import Any

NAME = "docket_client"


def generate(url: str, directory: Path) -> list[str]:
    """Writes the package `docket_client` into the directory; the lines that begin with a warning."""
    document, config = directory / "openapi.json", directory / "config.yaml"
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=30) as answer:  # noqa: S310 - our own service
        document.write_bytes(answer.read())
    # Formatting what nobody will read takes long.
    config.write_text("post_hooks: []\n", encoding="utf-8")
    done = subprocess.run(
        [
            sys.executable, "-m", "openapi_python_client", "generate", "--path", document, "--config", config,
            "--meta", "none", "--output-path", directory / NAME,
        ],
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    return [line for line in (done.stdout + done.stderr).splitlines() if re.match("WARNING|ERROR|Warning", line)]


class Walk:
    """The generated client in use; modules are found by name because they are written while this runs."""

    def __init__(self, url: str, key: str) -> None:
        """A client that speaks for the holder of the key."""
        authenticated = self._module("").AuthenticatedClient
        self.client = authenticated(base_url=url, token=key, raise_on_unexpected_status=True)
        self.models = self._module(".models")

    @staticmethod
    def _module(name: str) -> Any:  # noqa: ANN401 - written while this runs
        return importlib.import_module(NAME + name)

    def call(self, operation: str, *path: object, **members: object) -> Any:  # noqa: ANN401
        """Calls an operation of the API; its answer with status and headers."""
        return self._module(f".api.{operation}").sync_detailed(*path, client=self.client, **members)

    def case(self) -> dict[str, Any]:
        """A case from its draft to its review, with evidence, and two refusals."""
        models = self.models
        new = models.CreateCase(
            title="Unlit buoy", narrative="It was dark.", respondent="Northgate Pilots", case_type="navigation-aid",
            severity=models.CreateCaseSeverity.HIGH, confidentiality=models.CreateCaseConfidentiality.INTERNAL,
        )  # fmt: skip
        created = self.call("cases.post_case", body=new, idempotency_key=str(uuid.uuid4()))
        case = created.parsed.id
        submit = models.SubmitCommand(command=models.SubmitCommandCommand.SUBMIT)
        keys = {"idempotency_key": str(uuid.uuid4())}
        submitted = self.call("cases.post_transition", case, body=submit, if_match=created.headers["etag"], **keys)
        keys = {"idempotency_key": str(uuid.uuid4())}
        stale = self.call("cases.post_transition", case, body=submit, if_match=created.headers["etag"], **keys)
        listed = self.call("cases.list_cases", state="submitted", q="buoy", count=True)
        trail = self.call("audit.get_case_trail", case)
        return {
            "created": [created.status_code, created.parsed.state.value],
            "submitted": [submitted.status_code, submitted.parsed.state.value],
            "stale": [stale.status_code, stale.parsed.type_],
            "listed": [str(item.id) == str(case) for item in listed.parsed.items],
            "trail": [item.to_dict()["action"] for item in trail.parsed.items],
            "missing": self.call("cases.get_case", uuid.uuid4()).status_code,
        }


def main() -> None:
    """Generates, walks, tells."""
    url, key, directory = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    warnings = generate(url, directory)
    sys.path.insert(0, str(directory))
    print(json.dumps({"warnings": warnings, **Walk(url, key).case()}))


if __name__ == "__main__":
    main()
