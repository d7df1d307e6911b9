"""Makes tenants, principals, keys and cases: the same ones in every run, because the seed is fixed."""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Lines of PostgreSQL's text format, without their line ends.
Lines = Iterator[str]

VOCABULARY = 20_000
TENANTS = 20
REPORTERS = 50
CASEWORKERS = 40
CASE_TYPES = 60
FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
DAYS = 2_000
OPEN_SHARE = 0.05
OPEN_STATES = (
    "draft",
    "submitted",
    "under_review",
    "awaiting_information",
    "escalated",
    "decision_proposed",
    "decided",
)
SYLLABLES = (
    "ba",
    "cor",
    "den",
    "fil",
    "gar",
    "hom",
    "jul",
    "kan",
    "lor",
    "mit",
    "nep",
    "pol",
    "rud",
    "sal",
    "tiv",
    "vam",
)
# The load walks these cases; they stand in a tenant of their own, so that the lists are not disturbed.
LOAD_CASES = 20_000
SCOPES = ("cases:read", "cases:write")


@dataclass(frozen=True)
class Principal:
    """Somebody who may hold a key."""

    id: uuid.UUID
    role: str
    key: str


@dataclass(frozen=True)
class Tenant:
    """A tenant with the principals that the benchmark speaks as."""

    id: uuid.UUID
    name: str
    supervisor: Principal
    auditor: Principal
    caseworkers: tuple[Principal, ...]
    reporters: tuple[Principal, ...]

    def principals(self) -> Iterator[Principal]:
        """Everybody."""
        return itertools.chain((self.supervisor, self.auditor), self.caseworkers, self.reporters)


def tenants() -> list[Tenant]:
    """The tenants of the lists, largest first, and at the end the one of the load."""
    return [tenant("load" if number == TENANTS else f"tenant-{number:02}") for number in range(TENANTS + 1)]


def sizes(cases: int) -> list[int]:
    """How many cases each tenant of the lists has: half of all in the first, the rest evenly."""
    rest = (cases - cases // 2) // (TENANTS - 1)
    return [cases - rest * (TENANTS - 1)] + [rest] * (TENANTS - 1)


def word(rank: int) -> str:
    """The word of this rank, 0 being the most frequent one."""
    letters: list[str] = []
    rest = rank + 17
    while rest:
        rest, digit = divmod(rest, len(SYLLABLES))
        letters.append(SYLLABLES[digit])
    return "".join(letters) + "x"


def vocabulary() -> tuple[list[str], list[float]]:
    """The words, most frequent first, and their cumulative weights by Zipf's law."""
    weights = itertools.accumulate(1 / (rank + 1) for rank in range(VOCABULARY))
    return [word(rank) for rank in range(VOCABULARY)], list(weights)


def seed_sql(people: list[Tenant], scopes: Sequence[str] = SCOPES) -> str:
    """Tenants, principals and keys of these scopes as SQL."""
    lines: list[str] = []
    granted = f"{{{','.join(scopes)}}}"
    for tenant in people:
        lines.append(
            "INSERT INTO docket.tenants (id, name, display_name, created_at) "  # noqa: S608 - nothing foreign
            f"VALUES ('{tenant.id}', '{tenant.name}', '{tenant.name}', now());"
        )
        for one in tenant.principals():
            prefix, secret = one.key[3:15], one.key[16:]
            digest = hashlib.sha256(secret.encode()).hexdigest()
            lines.append(
                "INSERT INTO docket.principals (tenant_id, id, kind, display_name, roles, created_at) "  # noqa: S608
                f"VALUES ('{tenant.id}', '{one.id}', 'user', '{one.role}', '{{{one.role}}}', now());"
                "INSERT INTO docket.api_keys "
                "(tenant_id, id, principal_id, prefix, secret_hash, label, scopes, created_at) VALUES "
                f"('{tenant.id}', '{one.id}', '{one.id}', '{prefix}', '\\x{digest}', 'bench', '{granted}', now());"
            )
    return "BEGIN;\n" + "\n".join(lines) + "\nCOMMIT;\n"


COLUMNS = (
    "tenant_id,id,reference,version,state,severity,confidentiality,title,narrative,respondent,case_type,reporter_id,"
    "assignee_id,decision,due_at,opened_at,created_at,updated_at,closed_at,attributes,audit_seq,audit_head"
)


def cases(tenant: Tenant, count: int, seed: int) -> Iterator[str]:
    """`count` cases as lines of PostgreSQL's text format, in no order of time."""
    generator = random.Random(seed)
    words, weights = vocabulary()
    types = list(itertools.accumulate(1 / (rank + 1) for rank in range(CASE_TYPES)))
    for number in range(count):
        text = generator.choices(words, cum_weights=weights, k=68)
        opened = FIRST_DAY + timedelta(seconds=generator.randrange(DAYS * 86_400))
        is_open = generator.random() < OPEN_SHARE
        state = generator.choice(OPEN_STATES) if is_open else ("withdrawn" if generator.random() < 0.1 else "closed")
        severity = generator.choices(("low", "medium", "high", "critical"), (40, 40, 15, 5))[0]
        sight = generator.choices(("public", "internal", "restricted"), (10, 85, 5))[0]
        case_type = generator.choices(range(CASE_TYPES), cum_weights=types)[0]
        reporter = generator.choice(tenant.reporters).id
        assignee = "\\N" if state in {"draft", "submitted"} else str(generator.choice(tenant.caseworkers).id)
        due = str(opened + timedelta(days=30)) if is_open and state != "draft" else "\\N"
        closed = "\\N" if is_open else str(opened + timedelta(days=generator.randrange(1, 200)))
        title, respondent, narrative = " ".join(text[:6]), " ".join(text[6:8]), " ".join(text[8:])
        identity, reference = _uuid7(opened, generator), f"{tenant.name}-{number:07}"
        yield "\t".join(
            (
                str(tenant.id), str(identity), reference, "3", state, severity, sight, title, narrative,
                respondent, f"type-{case_type}", str(reporter), assignee, "\\N", due, str(opened), str(opened),
                str(opened), closed, '{"region": "north", "berth": 7}', "3", "\\\\x" + "00" * 32,
            )
        )  # fmt: skip


def load_cases(tenant: Tenant) -> Iterator[str]:
    """Cases under review, for the load to walk: as large as the others, all alike."""
    for number in range(LOAD_CASES):
        narrative = " ".join(word((number * 31 + step * 7) % VOCABULARY) for step in range(60))
        identity = uuid.UUID(int=(0x7000 << 64) | (0x8000 << 48) | number)
        opened = str(FIRST_DAY + timedelta(seconds=number))
        yield "\t".join(
            (
                str(tenant.id), str(identity), f"load-{number:07}", "3", "under_review", "high", "internal",
                "Unlit buoy at the harbour entrance", narrative, "Northgate Pilots", "navigation-aid",
                str(tenant.reporters[0].id), str(tenant.caseworkers[0].id), "\\N", "2030-01-01 00:00:00+00", opened,
                opened, opened, "\\N", '{"region": "north", "berth": 7}', "3", "\\\\x" + "00" * 32,
            )
        )  # fmt: skip


def load_case_id(number: int) -> uuid.UUID:
    """The id of one case of the load."""
    return uuid.UUID(int=(0x7000 << 64) | (0x8000 << 48) | number)


def tenant(name: str) -> Tenant:
    """The tenant of this name."""

    def principal(role: str, index: int) -> Principal:
        identity = uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}.{role}.{index}")
        digest = hashlib.sha256(identity.bytes).digest()
        secret = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        return Principal(identity, role, f"dk_{digest.hex()[:12]}_{secret}")

    return Tenant(
        uuid.uuid5(uuid.NAMESPACE_DNS, name),
        name,
        principal("supervisor", 0),
        principal("auditor", 0),
        tuple(principal("caseworker", index) for index in range(CASEWORKERS)),
        tuple(principal("reporter", index) for index in range(REPORTERS)),
    )


def _uuid7(at: datetime, generator: random.Random) -> uuid.UUID:
    millis = int(at.timestamp() * 1_000)
    value = (millis << 80) | (7 << 76) | (generator.getrandbits(12) << 64) | (2 << 62) | generator.getrandbits(62)
    return uuid.UUID(int=value)
