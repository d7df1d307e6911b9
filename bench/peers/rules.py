"""What both peers share: keys, the part of the transition table that the load walks, the audit record, the answers."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

KEY_SECONDS = 10.0
KEY_LIFETIME = timedelta(hours=24)
JSON = "application/json"
# State and command: next state, roles, whether somebody else than the proposer must ask, members that must be given.
TABLE: dict[tuple[str, str], tuple[str, frozenset[str], tuple[str, ...]]] = {
    ("under_review", "escalate"): ("escalated", frozenset({"caseworker", "supervisor"}), ("reason",)),
    ("escalated", "de_escalate"): ("under_review", frozenset({"supervisor"}), ()),
    ("under_review", "propose_decision"): ("decision_proposed", frozenset({"caseworker", "supervisor"}), ("decision",)),
    ("decision_proposed", "return_for_rework"): ("under_review", frozenset({"supervisor"}), ("reason",)),
}


class Transition(BaseModel):
    """The body of a transition."""

    model_config = ConfigDict(extra="forbid")
    command: str
    reason: str | None = Field(default=None, min_length=1, max_length=2_000)
    decision: str | None = Field(default=None, min_length=1, max_length=20_000)


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """A problem detail to answer with."""

    def __init__(self, status: int, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.body = json.dumps({"type": f"/problems/{slug}", "title": slug, "status": status, "detail": detail})


@dataclass(frozen=True)
class Actor:
    """Who asks."""

    tenant_id: uuid.UUID
    principal_id: uuid.UUID
    roles: tuple[str, ...]
    secret_hash: bytes


class KeyCache:
    """Keys that were verified, for a short time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Actor]] = {}

    def get(self, prefix: str) -> Actor | None:
        """The actor, if the key was looked up less than ten seconds ago."""
        found = self._known.get(prefix)
        return found[1] if found and found[0] > time.monotonic() else None

    def put(self, prefix: str, actor: Actor) -> None:
        """Remembers a key."""
        self._known[prefix] = (time.monotonic() + KEY_SECONDS, actor)


def key_parts(authorization: str | None) -> tuple[str, str]:
    """Prefix and secret of a bearer key."""
    if not authorization or not authorization.startswith("Bearer dk_") or len(authorization) < 30:
        raise Problem(401, "unauthenticated", "send an API key")
    return authorization[10:22], authorization[23:]


def version_of(if_match: str | None) -> int:
    """The version that the client saw."""
    if not if_match or not if_match.startswith('"v'):
        raise Problem(428, "precondition-required", "send If-Match")
    return int(if_match[2:-1])


def lock_key(actor: Actor, key: str) -> int:
    """The advisory lock that stands for a running request with this key."""
    digest = hashlib.sha256(actor.tenant_id.bytes + actor.principal_id.bytes + key.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def fingerprint(path: str, if_match: str | None, body: Transition) -> bytes:
    """What makes two requests the same request."""
    canonical = json.dumps(body.model_dump(exclude_none=True), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256("\0".join(("POST", path, if_match or "", canonical)).encode()).digest()


def decide(case: Mapping[str, Any], actor: Actor, body: Transition, now: datetime) -> dict[str, Any]:
    """The columns that the transition changes, or the refusal."""
    row = TABLE.get((case["state"], body.command))
    if row is None:
        raise Problem(409, "transition-refused", f"{body.command} is not possible in {case['state']}")
    next_state, roles, members = row
    if not roles.intersection(actor.roles):
        raise Problem(403, "forbidden", "your roles do not allow this")
    for member in members:
        if not getattr(body, member):
            raise Problem(422, "validation", f"{member} is required")
    if body.command == "propose_decision" and (case["assignee_id"] is None or case["open_information_requests"]):
        raise Problem(409, "transition-refused", "assign somebody and close open requests first")
    changes: dict[str, Any] = {"state": next_state, "version": case["version"] + 1, "updated_at": now}
    if body.command == "propose_decision":
        changes |= {"decision": body.decision, "proposed_by": actor.principal_id}
    elif body.command == "return_for_rework":
        changes |= {"decision": None, "proposed_by": None}
    return changes


@dataclass(frozen=True)
class Draft:
    """Everything that one transition writes."""

    changes: dict[str, Any]
    audit_seq: int
    prev_hash: bytes
    hash: bytes
    record: str
    event_id: uuid.UUID
    event_data: str
    etag: str
    answer: str
    occurred_at: datetime
    expires_at: datetime


def draft(case: Mapping[str, Any], actor: Actor, body: Transition, key: str) -> Draft:
    """Decides and words every row of the transition."""
    now = datetime.now(UTC)
    changes = decide(case, actor, body, now)
    after = {**case, **changes}
    before_part = {name: case[name] for name in changes if case[name] != changes[name]}
    after_part = {name: changes[name] for name in before_part}
    record = canonical(
        {
            "seq": case["audit_seq"] + 1,
            "tenant_id": case["tenant_id"],
            "chain_id": case["id"],
            "case_id": case["id"],
            "actor_id": actor.principal_id,
            "actor_roles": list(actor.roles),
            "action": f"case.{body.command}",
            "outcome": "allowed",
            "http_status": 200,
            "request_id": str(uuid.uuid4()),
            "trace_id": uuid.uuid4().hex,
            "idempotency_key_hash": hashlib.sha256(key.encode()).hexdigest(),
            "reason": body.reason,
            "from_state": case["state"],
            "to_state": changes["state"],
            "case_version": changes["version"],
            "before": before_part,
            "after": after_part,
            "diff": [{"op": "replace", "path": f"/{name}", "value": value} for name, value in after_part.items()],
            "occurred_at": now,
        }
    )
    digest = hashlib.sha256(b"docket:audit:v1" + case["audit_head"] + record.encode()).digest()
    event = {"case_id": case["id"], "version": changes["version"], "action": f"case.{body.command}"}
    event |= {"from_state": case["state"], "to_state": changes["state"], "severity": case["severity"]}
    return Draft(
        changes=changes,
        audit_seq=case["audit_seq"] + 1,
        prev_hash=case["audit_head"],
        hash=digest,
        record=record,
        event_id=uuid.uuid4(),
        event_data=canonical(event),
        etag=f'"v{changes["version"]}"',
        answer=shown(after),
        occurred_at=now,
        expires_at=now + KEY_LIFETIME,
    )


HIDDEN = frozenset({"tenant_id", "audit_seq", "audit_head"})


def shown(case: Mapping[str, Any]) -> str:
    """A case as clients see it."""
    return json.dumps({name: value for name, value in case.items() if name not in HIDDEN}, default=str)


def canonical(value: dict[str, Any]) -> str:
    """Sorted and compact JSON, to be hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
