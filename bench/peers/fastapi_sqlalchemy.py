"""The transition as a FastAPI service over SQLAlchemy's asynchronous ORM, with asyncpg below."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from sqlalchemy import JSON, DateTime, LargeBinary, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.types import Text

from bench.peers import rules

When = Annotated[datetime, mapped_column(DateTime(timezone=True))]
MaybeWhen = Annotated[datetime | None, mapped_column(DateTime(timezone=True))]
Bytes = Annotated[bytes, mapped_column(LargeBinary)]


class Base(DeclarativeBase):
    """The tables of docket."""

    __table_args__ = {"schema": "docket"}  # noqa: RUF012 - SQLAlchemy's own form


class Case(Base):
    """docket.cases; the version column is SQLAlchemy's own optimistic lock."""

    __tablename__ = "cases"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    reference: Mapped[str]
    version: Mapped[int] = mapped_column()
    state: Mapped[str]
    severity: Mapped[str]
    confidentiality: Mapped[str]
    title: Mapped[str]
    narrative: Mapped[str]
    respondent: Mapped[str]
    case_type: Mapped[str]
    reporter_id: Mapped[uuid.UUID]
    assignee_id: Mapped[uuid.UUID | None]
    proposed_by: Mapped[uuid.UUID | None]
    decision: Mapped[str | None]
    open_information_requests: Mapped[int]
    legal_hold: Mapped[bool]
    deadline_extended: Mapped[bool]
    due_at: Mapped[MaybeWhen]
    clock_paused_at: Mapped[MaybeWhen]
    opened_at: Mapped[When]
    created_at: Mapped[When]
    updated_at: Mapped[When]
    closed_at: Mapped[MaybeWhen]
    attributes: Mapped[dict[str, Any]] = mapped_column(JSONB)
    audit_seq: Mapped[int]
    audit_head: Mapped[Bytes]
    __mapper_args__ = {"version_id_col": version, "version_id_generator": False}  # noqa: RUF012 - SQLAlchemy's own form


class AuditEvent(Base):
    """docket.audit_events."""

    __tablename__ = "audit_events"
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    chain_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    occurred_at: Mapped[When]
    actor_id: Mapped[uuid.UUID]
    action: Mapped[str]
    outcome: Mapped[str]
    record: Mapped[Any] = mapped_column(JSON)
    prev_hash: Mapped[Bytes]
    hash: Mapped[Bytes]


class OutboxEvent(Base):
    """docket.outbox_events; `transaction_id` is filled by the database."""

    __tablename__ = "outbox_events"
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[uuid.UUID]
    type: Mapped[str]
    actor_id: Mapped[uuid.UUID]
    data: Mapped[Any] = mapped_column(JSONB)
    occurred_at: Mapped[When]


class IdempotencyKey(Base):
    """docket.idempotency_keys."""

    __tablename__ = "idempotency_keys"
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    principal_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[Bytes]
    status: Mapped[int]
    etag: Mapped[str | None]
    body: Mapped[str]
    created_at: Mapped[When]
    expires_at: Mapped[When]


class Principal(Base):
    """docket.principals."""

    __tablename__ = "principals"
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    roles: Mapped[list[str]] = mapped_column(ARRAY(Text))
    disabled: Mapped[bool]


class ApiKey(Base):
    """docket.api_keys."""

    __tablename__ = "api_keys"
    tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    principal_id: Mapped[uuid.UUID]
    prefix: Mapped[str]
    secret_hash: Mapped[Bytes]


engine = create_async_engine(os.environ.get("DATABASE_URL", "postgresql+asyncpg://"), pool_size=8, max_overflow=0)
sessions = async_sessionmaker(engine, expire_on_commit=False)
keys = rules.KeyCache()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Closes the pool at the end."""
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.exception_handler(rules.Problem)
async def answer_problem(_: Request, problem: rules.Problem) -> Response:
    """RFC 9457."""
    return Response(problem.body, problem.status, media_type="application/problem+json")


async def set_tenant(session: AsyncSession, tenant: uuid.UUID) -> None:
    """Row-level security follows this setting."""
    await session.execute(select(func.set_config("docket.tenant", str(tenant), True)))


async def authenticate(authorization: str | None) -> rules.Actor:
    """The actor behind the key, remembered for ten seconds."""
    prefix, secret = rules.key_parts(authorization)
    actor = keys.get(prefix)
    if actor is None:
        async with sessions.begin() as session:
            await session.execute(select(func.set_config("docket.api_key_prefix", prefix, True)))
            key = (await session.execute(select(ApiKey).where(ApiKey.prefix == prefix))).scalar_one_or_none()
            if key is None:
                raise rules.Problem(401, "unauthenticated", "the API key is not valid")
            await set_tenant(session, key.tenant_id)
            principal = await session.get(Principal, (key.tenant_id, key.principal_id))
        roles = tuple(principal.roles) if principal and not principal.disabled else ()
        actor = rules.Actor(key.tenant_id, key.principal_id, roles, key.secret_hash)
        keys.put(prefix, actor)
    if not hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), actor.secret_hash):
        raise rules.Problem(401, "unauthenticated", "the API key is not valid")
    return actor


def fields(case: Case) -> dict[str, Any]:
    """The columns of a case by name."""
    return {column.name: getattr(case, column.name) for column in Case.__table__.columns}


@app.get("/v1/cases/{case_id}")
async def get_case(case_id: uuid.UUID, authorization: Annotated[str | None, Header()] = None) -> Response:
    """One case."""
    actor = await authenticate(authorization)
    async with sessions.begin() as session:
        await set_tenant(session, actor.tenant_id)
        case = (await session.execute(select(Case).where(Case.id == case_id))).scalar_one_or_none()
    if case is None:
        raise rules.Problem(404, "not-found", "no such case")
    return Response(rules.shown(fields(case)), media_type=rules.JSON, headers={"ETag": f'"v{case.version}"'})


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
    actor = await authenticate(authorization)
    if not idempotency_key:
        raise rules.Problem(400, "idempotency-key-missing", "send Idempotency-Key")
    mark = rules.fingerprint(request.url.path, if_match, body)
    try:
        async with sessions.begin() as session:
            await set_tenant(session, actor.tenant_id)
            lock = func.pg_try_advisory_xact_lock(rules.lock_key(actor, idempotency_key))
            if not (await session.execute(select(lock))).scalar_one():
                raise rules.Problem(409, "idempotency-request-in-flight", "try again")
            case = (await session.execute(select(Case).where(Case.id == case_id))).scalar_one_or_none()
            if case is None:
                raise rules.Problem(404, "not-found", "no such case")
            stored = await session.get(IdempotencyKey, (actor.tenant_id, actor.principal_id, idempotency_key))
            if stored is not None:
                if stored.fingerprint != mark:
                    raise rules.Problem(422, "idempotency-key-reused", "the key was used for another request")
                headers = {"ETag": stored.etag or "", "Idempotent-Replayed": "true"}
                return Response(stored.body, stored.status, headers, rules.JSON)
            if rules.version_of(if_match) != case.version:
                raise rules.Problem(412, "precondition-failed", f"the current version is {case.version}")
            act = rules.draft(fields(case), actor, body, idempotency_key)
            for name, value in act.changes.items():
                setattr(case, name, value)
            case.audit_seq, case.audit_head = act.audit_seq, act.hash
            session.add_all(rows(act, case, actor, mark, (idempotency_key, f"case.{body.command}")))
    except StaleDataError as error:
        raise rules.Problem(412, "precondition-failed", "somebody else was faster") from error
    return Response(act.answer, media_type=rules.JSON, headers={"ETag": act.etag})


def rows(act: rules.Draft, case: Case, actor: rules.Actor, mark: bytes, names: tuple[str, str]) -> list[Base]:
    """What a transition leaves behind: audit record, event, stored answer."""
    key, action = names
    tenant, who, now = actor.tenant_id, actor.principal_id, act.occurred_at
    audit = AuditEvent(
        tenant_id=tenant, chain_id=case.id, seq=act.audit_seq, occurred_at=now, actor_id=who, action=action,
        outcome="allowed", record=json.loads(act.record), prev_hash=act.prev_hash, hash=act.hash,
    )  # fmt: skip
    event = OutboxEvent(
        tenant_id=tenant, case_id=case.id, sequence=case.version, id=act.event_id, type=action, actor_id=who,
        data=json.loads(act.event_data), occurred_at=now,
    )  # fmt: skip
    remembered = IdempotencyKey(
        tenant_id=tenant, principal_id=who, key=key, fingerprint=mark, status=200, etag=act.etag, body=act.answer,
        created_at=now, expires_at=act.expires_at,
    )  # fmt: skip
    return [audit, event, remembered]
