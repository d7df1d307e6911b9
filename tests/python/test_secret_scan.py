"""The scan for secrets finds each kind that it knows, and not what only looks like one."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from secret_scan import SHAPES, allowed, entropy, is_random, scan

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = PROJECT / "scripts" / "secret_scan.py"


def drawn(length: int, seed: str = "a") -> str:
    """Letters and digits that look drawn, the same each time, and that stand in no file as they are."""
    letters = ""
    while len(letters) < length:
        digest = hashlib.sha256(f"{seed}{len(letters)}".encode()).digest()
        letters += re.sub(r"[+/=]", "", base64.b64encode(digest).decode())
    return letters[:length]


#: One of each shape, put together here so that this file holds none.
PLANTED = {
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----\n" + drawn(64),
    "AWS access key": "AK" + "IA" + drawn(40).upper()[:16],
    "GitHub token": "gh" + "p_" + drawn(36),
    "GitLab token": "gl" + "pat-" + drawn(20),
    "Slack token": "xo" + "xb-" + drawn(24),
    "Google key": "AI" + "za" + drawn(35),
    "Anthropic key": "sk-" + "ant-api03-" + drawn(40),
    "OpenAI key": "sk-" + "proj-" + drawn(48),
    "Hugging Face token": "hf" + "_" + drawn(34),
    "Stripe key": "sk" + "_live_" + drawn(24),
    "SendGrid key": "SG" + "." + drawn(22) + "." + drawn(43),
    "npm token": "npm" + "_" + drawn(36),
    "PyPI token": "pypi" + "-AgE" + drawn(60),
    "JSON Web Token": "ey" + "J" + drawn(30) + ".ey" + "J" + drawn(60) + "." + drawn(43),
    "webhook secret": "whsec" + "_" + drawn(32),
    "docket key": "dk" + "_" + drawn(12) + "_" + drawn(43),
    "password in a URL": "postgres" + "://docket:" + drawn(20) + "@db.example/docket",
}


def test_there_is_an_example_of_every_shape() -> None:
    assert set(PLANTED) == set(SHAPES)


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_secret_is_found_where_it_stands_and_not_shown(kind: str) -> None:
    found = list(scan("a.txt", f"nothing\n\nhere: {PLANTED[kind]}\n"))
    assert [finding.kind for finding in found] == [kind]
    assert found[0].line == 3
    assert len(found[0].shown.partition("…")[0]) == 4


@pytest.mark.parametrize(
    "line",
    [
        'api_key = "{}"',
        "POSTGRES_PASSWORD={}",
        "  password: {}",
        '"clientSecret": "{}",',
        "const ACCESS_TOKEN = '{}';",
        'const API_KEY: &str = "{}";',
        'let webhook_secret: &\'static str = "{}";',
        "curl -H 'Authorization: Bearer {}'",
    ],
)
def test_a_random_value_under_the_name_of_a_secret_is_found(line: str) -> None:
    hexadecimal = hashlib.sha256(b"a secret").hexdigest()
    for value in (drawn(24, "b"), drawn(40, "c"), hexadecimal, hexadecimal[:32]):
        kinds = [finding.kind for finding in scan("a.txt", line.replace("{}", value))]
        assert kinds == ["random value under the name of a secret"], value


@pytest.mark.parametrize(
    "line",
    [
        "first_token_ms = p_first_token_ms,",
        'token = "the-token-of-the-demo-2026"',
        'password = "${POSTGRES_PASSWORD:?set it in .env}"',
        "secret = secrets.token_urlsafe(24)",
        "api_key_path = /var/lib/docket/keys/audit_signing.key",
        'checksum = "a3f1c2d4e5b697880112233445566778899aabbccddeeff00112233445566778"',
        "postgres://docket:x@postgres:5432/docket",
        "postgres://docket:${POSTGRES_PASSWORD}@postgres:5432/docket",
        'token = "aaaaaaaaaaaaaaaaaaaa1"',
        '"-----BEGIN PRIVATE KEY-----"',
        "  reporter    dk_kGoeeWLACxoN_X-jS3ww7…",
    ],
)
def test_what_only_looks_like_a_secret_is_left_alone(line: str) -> None:
    assert not list(scan("a.txt", line))


def test_entropy_is_that_of_shannon() -> None:
    assert entropy("aaaa") == 0
    assert entropy("ab") == 1
    assert entropy("abcdefgh") == 3
    assert is_random(drawn(24))
    assert not is_random("correct-horse-battery-staple")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False)


def test_a_file_with_a_secret_fails_the_scan_without_the_secret_in_what_it_prints(tmp_path: Path) -> None:
    planted = tmp_path / "settings.toml"
    planted.write_text(f'[models.openai]\napi_key = "{PLANTED["OpenAI key"]}"\n')
    done = run(str(planted))
    assert done.returncode == 1
    assert f"FINDING {planted}:2: OpenAI key" in done.stdout
    assert PLANTED["OpenAI key"][6:] not in done.stdout + done.stderr


def test_the_repository_holds_no_secret_and_no_exception_that_nothing_needs() -> None:
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_exception_says_why() -> None:
    for (path, digest), reason in allowed().items():
        assert (PROJECT / path).exists(), path
        assert re.fullmatch(r"[0-9a-f]{16}", digest)
        assert len(reason.split()) >= 4


def test_the_scan_is_a_step_of_what_every_change_must_pass() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    check = makefile.partition("\ncheck:")[2].partition("\n\n")[0]
    assert re.search(r"\bsecrets\b", check)
    assert "scripts/secret_scan.py" in makefile.partition("\nsecrets:")[2].partition("\n\n")[0]
