"""The transition as a FastAPI service over asyncpg: `DATABASE_DSN=... uvicorn bench.peers.fastapi_asyncpg:app`."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it ships none
from fastapi import FastAPI, Header, Request, Response

from bench.peers import rules

CASE = (
    "c.id, c.tenant_id, c.reference, c.version, c.state, c.severity, c.confidentiality, c.title, c.narrative, "
    "c.respondent, c.case_type, c.reporter_id, c.assignee_id, c.proposed_by, c.decision, c.open_information_requests, "
    "c.legal_hold, c.deadline_extended, c.due_at, c.clock_paused_at, c.opened_at, c.created_at, c.updated_at, "
    "c.closed_at, c.attributes, c.audit_seq, c.audit_head"
)
SET_TENANT = "SELECT set_config('docket.tenant', $1, true), pg_try_advisory_xact_lock($2) AS free"
LOAD = (
    f"SELECT {CASE}, k.fingerprint, k.status, k.etag, k.body FROM docket.cases c "  # noqa: S608 - constants only
    "LEFT JOIN docket.idempotency_keys k ON k.tenant_id = c.tenant_id AND k.principal_id = $2 AND k.key = $3 "
    "WHERE c.id = $1"
)
READ = f"SELECT {CASE} FROM docket.cases c WHERE c.id = $1"  # noqa: S608 - constants only
UPDATE = (
    "UPDATE docket.cases SET state = $3, version = $4, updated_at = $5, decision = $6, proposed_by = $7, "
    "audit_seq = $8, audit_head = $9 WHERE id = $1 AND version = $2"
)
AUDIT = "INSERT INTO docket.audit_events VALUES ($1, $2, $3, $4, $5, $6, 'allowed', $7, $8, $9)"
OUTBOX = (
    "INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, data, occurred_at) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
)
REMEMBER = (
    "INSERT INTO docket.idempotency_keys (tenant_id, principal_id, key, fingerprint, status, etag, body, created_at, "
    "expires_at) VALUES ($1, $2, $3, $4, 200, $5, $6, $7, $8)"
)
JOINED = ("fingerprint", "status", "etag", "body")


@asynccontextmanager
async def lifespan(application: FastAPI) -> AsyncGenerator[None]:
    """Opens a pool for the life of the worker."""
    async with asyncpg.create_pool(  # pyright: ignore[reportUnknownMemberType]
        os.environ["DATABASE_DSN"], min_size=8, max_size=8
    ) as pool:
        application.state.pool = pool
        application.state.keys = rules.KeyCache()
        yield


app = FastAPI(lifespan=lifespan)


@app.exception_handler(rules.Problem)
async def answer_problem(_: Request, problem: rules.Problem) -> Response:
    """RFC 9457."""
    return Response(problem.body, problem.status, media_type="application/problem+json")


async def authenticate(request: Request, authorization: str | None) -> rules.Actor:
    """The actor behind the key, remembered for ten seconds."""
    prefix, secret = rules.key_parts(authorization)
    keys: rules.KeyCache = request.app.state.keys
    actor = keys.get(prefix)
    if actor is None:
        async with request.app.state.pool.acquire() as connection, connection.transaction():
            await connection.execute("SELECT set_config('docket.api_key_prefix', $1, true)", prefix)
            key = await connection.fetchrow("SELECT * FROM docket.api_keys WHERE prefix = $1", prefix)
            if key is None:
                raise rules.Problem(401, "unauthenticated", "the API key is not valid")
            await connection.execute("SELECT set_config('docket.tenant', $1, true)", str(key["tenant_id"]))
            roles = await connection.fetchval(
                "SELECT roles FROM docket.principals WHERE id = $1 AND NOT disabled", key["principal_id"]
            )
        actor = rules.Actor(key["tenant_id"], key["principal_id"], tuple(roles or ()), key["secret_hash"])
        keys.put(prefix, actor)
    if not hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), actor.secret_hash):
        raise rules.Problem(401, "unauthenticated", "the API key is not valid")
    return actor


def case_of(row: asyncpg.Record) -> dict[str, Any]:
    """The row as a case, without what was joined to it."""
    case = {name: value for name, value in row.items() if name not in JOINED}
    case["attributes"] = json.loads(case["attributes"])
    return case


@app.get("/v1/cases/{case_id}")
async def get_case(
    case_id: uuid.UUID, request: Request, authorization: Annotated[str | None, Header()] = None
) -> Response:
    """One case."""
    actor = await authenticate(request, authorization)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT set_config('docket.tenant', $1, true)", str(actor.tenant_id))
        row = await connection.fetchrow(READ, case_id)
    if row is None:
        raise rules.Problem(404, "not-found", "no such case")
    return Response(rules.shown(case_of(row)), media_type=rules.JSON, headers={"ETag": f'"v{row["version"]}"'})


@app.post("/v1/cases/{case_id}/transitions")
async def post_transition(  # noqa: PLR0913, PLR0917 - one parameter a header
    case_id: uuid.UUID,
    body: rules.Transition,
    request: Request,
    authorization: Annotated[str | None, Header()] = None,
    idempotency_key: Annotated[str | None, Header()] = None,
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """One guarded transition in one transaction."""
    actor = await authenticate(request, authorization)
    if not idempotency_key:
        raise rules.Problem(400, "idempotency-key-missing", "send Idempotency-Key")
    mark = rules.fingerprint(request.url.path, if_match, body)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        lock = rules.lock_key(actor, idempotency_key)
        context = await connection.fetchrow(SET_TENANT, str(actor.tenant_id), lock)
        if not context["free"]:
            raise rules.Problem(409, "idempotency-request-in-flight", "try again")
        row = await connection.fetchrow(LOAD, case_id, actor.principal_id, idempotency_key)
        if row is None:
            raise rules.Problem(404, "not-found", "no such case")
        if row["fingerprint"] is not None:
            if row["fingerprint"] != mark:
                raise rules.Problem(422, "idempotency-key-reused", "the key was used for another request")
            return Response(
                row["body"], row["status"], {"ETag": row["etag"], "Idempotent-Replayed": "true"}, rules.JSON
            )
        if rules.version_of(if_match) != row["version"]:
            raise rules.Problem(412, "precondition-failed", f"the current version is {row['version']}")
        case = case_of(row)
        act = rules.draft(case, actor, body, idempotency_key)
        new = {**case, **act.changes}
        updated = await connection.execute(
            UPDATE, case_id, case["version"], new["state"], new["version"], new["updated_at"], new["decision"],
            new["proposed_by"], act.audit_seq, act.hash,
        )  # fmt: skip
        if updated != "UPDATE 1":
            raise rules.Problem(412, "precondition-failed", "somebody else was faster")
        tenant, who, now = actor.tenant_id, actor.principal_id, act.occurred_at
        action = f"case.{body.command}"
        await connection.execute(
            AUDIT, tenant, case_id, act.audit_seq, now, who, action, act.record, act.prev_hash, act.hash
        )
        await connection.execute(
            OUTBOX, tenant, act.event_id, case_id, new["version"], action, who, act.event_data, now
        )
        await connection.execute(
            REMEMBER, tenant, who, idempotency_key, mark, act.etag, act.answer, now, act.expires_at
        )
    return Response(act.answer, media_type=rules.JSON, headers={"ETag": act.etag})
