//! Tenants, principals and API keys in PostgreSQL; an administrative act is one explicit transaction.

use async_trait::async_trait;
use docket_domain::audit::ChainHead;
use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::tenancy::{ApiKey, Principal, Tenant};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::signed;
use super::case_store::PgCaseStore;
use super::delivery_effects;
use super::document_effects;
use super::error::{broken_constraint, store_error};
use super::job_hint::JobHint;
use super::job_store;
use super::lane::Lane;
use super::remember::remember;
use super::tenancy_reader as reader;
use super::transaction::begin;
use super::{calendar_store, usage_ledger};
use crate::application::ports::StoreError;
use crate::application::ports::case_store::{AnswerToStore, CaseStore, KeyScope, StoredAnswer};
use crate::application::ports::tenancy_store::{Effect, TenancyCommit, TenancyStore, TenancyWrite};

/// [`TenancyStore`] on PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgTenancyStore {
    pool: PgPool,
    /// Answers are kept in one table, whatever they answered.
    answers: PgCaseStore,
    hint: JobHint,
}

impl PgTenancyStore {
    /// A store on a pool of [`super::connect`], with the lane for stored answers.
    pub fn new(pool: PgPool, lane: Lane) -> Self {
        Self { answers: PgCaseStore::new(pool.clone(), lane), hint: JobHint::new(pool.clone()), pool }
    }
}

#[async_trait]
impl TenancyStore for PgTenancyStore {
    async fn load_answer(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<Option<StoredAnswer>, StoreError> {
        self.answers.load_answer(tenant, key).await
    }

    async fn forget_expired(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<(), StoreError> {
        self.answers.forget_expired(tenant, key).await
    }

    async fn tenant(&self, seen_by: TenantId, id: TenantId) -> Result<Option<(Tenant, ChainHead)>, StoreError> {
        reader::tenant(&self.pool, seen_by, id).await
    }

    async fn tenant_named(&self, name: &str) -> Result<Option<Tenant>, StoreError> {
        reader::tenant_named(&self.pool, name).await
    }

    async fn tenants(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Tenant>, StoreError> {
        reader::tenants(&self.pool, after, limit).await
    }

    async fn principal(&self, tenant: TenantId, id: PrincipalId) -> Result<Option<Principal>, StoreError> {
        reader::principal(&self.pool, tenant, id).await
    }

    async fn roles_issued_at(&self, tenant: TenantId, id: PrincipalId) -> Result<Option<OffsetDateTime>, StoreError> {
        reader::roles_issued_at(&self.pool, tenant, id).await
    }

    async fn principals(
        &self,
        tenant: TenantId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Principal>, StoreError> {
        reader::principals(&self.pool, tenant, after, limit).await
    }

    async fn key(&self, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError> {
        reader::key(&self.pool, tenant, id).await
    }

    async fn keys(
        &self,
        tenant: TenantId,
        principal: Option<PrincipalId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        reader::keys(&self.pool, tenant, principal, after, limit).await
    }

    async fn commit(&self, write: &TenancyWrite) -> Result<TenancyCommit, StoreError> {
        let result = self.commit_in_transaction(write).await;
        result.or_else(|error| conflict(&error).ok_or_else(|| store_error(error)))
    }
}

impl PgTenancyStore {
    /// The answer under the acting tenant, then everything else under the tenant acted upon.
    async fn commit_in_transaction(&self, write: &TenancyWrite) -> Result<TenancyCommit, sqlx::Error> {
        let mut transaction = begin(&self.pool).await?;
        let written = write_all(&mut transaction, write).await;
        if !matches!(written, Ok(TenancyCommit::Done)) {
            // Waited for. Dropped, the transaction would hold the key's lock until the pool gets to it, and whoever tries
            // again with the same key would be told that the request is still running.
            transaction.rollback().await?;
            return written;
        }
        transaction.commit().await?;
        if write.effects.iter().any(brings_jobs) {
            self.hint.send();
        }
        Ok(TenancyCommit::Done)
    }
}

/// Everything but the commit.
async fn write_all(connection: &mut PgConnection, write: &TenancyWrite) -> Result<TenancyCommit, sqlx::Error> {
    enter(connection, write.acting_tenant).await?;
    if let Some(answer) = &write.answer {
        if !lock(connection, write.acting_tenant, answer).await? {
            return Ok(TenancyCommit::KeyInFlight);
        }
        remember(connection, write.acting_tenant, answer, write.audit.occurred_at).await?;
    }
    for effect in &write.effects {
        if let Effect::CreateTenant(tenant) = effect {
            insert_tenant(connection, tenant).await?;
        }
    }
    enter(connection, write.tenant_id).await?;
    if !move_head(connection, write).await? {
        return Ok(TenancyCommit::Stale);
    }
    for effect in &write.effects {
        if !apply(connection, write.tenant_id, effect).await? {
            return Ok(TenancyCommit::Stale);
        }
    }
    record(connection, write).await?;
    Ok(TenancyCommit::Done)
}

/// Sets the tenant that row-level security asks for, until the transaction ends or enters another.
async fn enter(connection: &mut PgConnection, tenant: TenantId) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT set_config('docket.tenant', $1, true) AS tenant", tenant.to_string())
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Takes the lock that stands for "a request with this key is running"; never waits.
async fn lock(connection: &mut PgConnection, tenant: TenantId, answer: &AnswerToStore) -> Result<bool, sqlx::Error> {
    let mut hasher = Sha256::new();
    hasher.update(tenant.0.as_bytes());
    hasher.update(answer.principal_id.0.as_bytes());
    hasher.update(answer.key.as_str());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let row = sqlx::query!(r#"SELECT pg_try_advisory_xact_lock($1) AS "free!""#, i64::from_be_bytes(first))
        .fetch_one(connection)
        .await?;
    Ok(row.free)
}

async fn insert_tenant(connection: &mut PgConnection, tenant: &Tenant) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO docket.tenants (id, name, display_name, suspended, created_at) VALUES ($1, $2, $3, $4, $5)",
        tenant.id.0,
        tenant.name,
        tenant.display_name,
        tenant.suspended,
        tenant.created_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Moves the chain's head, if it is still where the act was decided; the row stays locked until the commit.
async fn move_head(connection: &mut PgConnection, write: &TenancyWrite) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query!(
        "UPDATE docket.tenants SET audit_seq = $2, audit_head = $3 WHERE id = $1 AND audit_seq = $4 AND audit_head = $5",
        write.tenant_id.0,
        signed(write.head.seq),
        &write.head.hash[..],
        signed(write.decided_on.seq),
        &write.decided_on.hash[..]
    )
    .execute(connection)
    .await?;
    Ok(moved.rows_affected() == 1)
}

/// Whether workers have reason to look.
fn brings_jobs(effect: &Effect) -> bool {
    matches!(effect, Effect::EnqueueJob(_) | Effect::RedriveJob(_) | Effect::RedriveKind(..))
}

/// Writes one effect; false when what it was decided on is no longer so.
async fn apply(connection: &mut PgConnection, tenant: TenantId, effect: &Effect) -> Result<bool, sqlx::Error> {
    match effect {
        Effect::EnqueueJob(job) => {
            Ok(!job_store::insert(connection, tenant, std::slice::from_ref(job)).await?.is_empty())
        }
        Effect::CancelJob { id, running } => job_store::cancel(connection, tenant, *id, *running).await,
        Effect::Document(effect) => document_effects::apply(connection, tenant, effect).await,
        Effect::RedriveJob(id) => Ok(job_store::redrive(connection, tenant, Some(*id), None, 1).await? == 1),
        Effect::RedriveKind(kind, limit) => {
            job_store::redrive(connection, tenant, None, Some(kind), *limit).await.map(|_| true)
        }
        other => change_tenancy(connection, tenant, other).await.map(|()| true),
    }
}

async fn change_tenancy(connection: &mut PgConnection, tenant: TenantId, effect: &Effect) -> Result<(), sqlx::Error> {
    match effect {
        // Inserted before the head could move, or no row of the tenancy.
        Effect::CreateTenant(_)
        | Effect::EnqueueJob(_)
        | Effect::CancelJob { .. }
        | Effect::Document(_)
        | Effect::RedriveJob(_)
        | Effect::RedriveKind(..) => Ok(()),
        Effect::SetSuspended(suspended) => {
            sqlx::query!("UPDATE docket.tenants SET suspended = $2 WHERE id = $1", tenant.0, suspended)
                .execute(connection)
                .await
                .map(drop)
        }
        Effect::CreatePrincipal(principal) => insert_principal(connection, tenant, principal).await,
        Effect::UpdatePrincipal(principal) => sqlx::query!(
            "UPDATE docket.principals SET display_name = $2, roles = $3, disabled = $4 WHERE id = $1",
            principal.id.0,
            principal.display_name,
            &role_names(principal),
            principal.disabled
        )
        .execute(connection)
        .await
        .map(drop),
        Effect::NoteRolesIssued(principal, at) => {
            sqlx::query!("UPDATE docket.principals SET roles_issued_at = $2 WHERE id = $1", principal.0, at)
                .execute(connection)
                .await
                .map(drop)
        }
        Effect::CreateKey { key, secret_hash } => insert_key(connection, tenant, key, secret_hash).await,
        Effect::EndKey(key) => sqlx::query!(
            "UPDATE docket.api_keys SET expires_at = $2, revoked_at = $3 WHERE id = $1",
            key.id.0,
            key.expires_at,
            key.revoked_at
        )
        .execute(connection)
        .await
        .map(drop),
        Effect::SetCalendar(calendar) => calendar_store::replace(connection, tenant, calendar).await,
        Effect::SetBudget(budget) => usage_ledger::set_budget(connection, tenant, budget).await,
        Effect::Delivery(effect) => delivery_effects::apply(connection, tenant, effect).await,
    }
}

async fn insert_principal(
    connection: &mut PgConnection,
    tenant: TenantId,
    principal: &Principal,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO docket.principals (tenant_id, id, kind, display_name, external_id, roles, disabled, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        tenant.0,
        principal.id.0,
        principal.kind.as_str(),
        principal.display_name,
        principal.external_id,
        &role_names(principal),
        principal.disabled,
        principal.created_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_key(
    connection: &mut PgConnection,
    tenant: TenantId,
    key: &ApiKey,
    secret_hash: &[u8; 32],
) -> Result<(), sqlx::Error> {
    let scopes: Vec<String> = key.scopes.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "INSERT INTO docket.api_keys
             (tenant_id, id, principal_id, prefix, secret_hash, label, scopes, created_at, expires_at, rotated_from)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        tenant.0,
        key.id.0,
        key.principal_id.0,
        key.prefix,
        &secret_hash[..],
        key.label,
        &scopes,
        key.created_at,
        key.expires_at,
        key.rotated_from.map(|id| id.0)
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn record(connection: &mut PgConnection, write: &TenancyWrite) -> Result<(), sqlx::Error> {
    let audit = &write.audit;
    sqlx::query!(
        "INSERT INTO docket.audit_events
             (tenant_id, chain_id, seq, occurred_at, actor_id, action, outcome, record, prev_hash, hash)
         VALUES ($1, $1, $2, $3, $4, $5, $6, $7::text::json, $8, $9)",
        write.tenant_id.0,
        signed(write.head.seq),
        audit.occurred_at,
        audit.actor_id.0,
        audit.action,
        audit.outcome.as_str(),
        write.canonical,
        &write.decided_on.hash[..],
        &write.head.hash[..]
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn role_names(principal: &Principal) -> Vec<String> {
    principal.roles.iter().map(|role| role.to_string()).collect()
}

/// Constraints that stand for an outcome rather than a fault.
fn conflict(error: &sqlx::Error) -> Option<TenancyCommit> {
    match broken_constraint(error)? {
        "idempotency_keys_pkey" => Some(TenancyCommit::KeyTaken),
        "tenants_name_key" => Some(TenancyCommit::NameTaken),
        // Another node saw the same new identity first, or decided on the same head; both look again.
        "principals_pkey" | "principals_tenant_id_external_id_key" | "audit_events_pkey" => Some(TenancyCommit::Stale),
        _ => None,
    }
}
