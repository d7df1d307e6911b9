//! `/v1/audit/checkpoints` and `/v1/audit/public-key`: signed statements over the trail.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::extract::{Authenticated, NoQuery, Query, WriteHeaders};
use super::presenter::respond;
use super::problem::Problem;
use super::state::ApiState;
use crate::application::audit::checkpoints::{post_checkpoint, require_keeper};
use crate::application::error::UseCaseError;
use crate::application::ports::audit_store::StoredCheckpoint;
use crate::application::request::Rendered;

/// A checkpoint as clients see it. Write down `number` and `digest` elsewhere: `NUMBER:DIGEST` is the witness that makes
/// even the loss of the newest checkpoints evident.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct CheckpointBody {
    /// Number within the tenant, from 1.
    pub number: u64,
    /// SHA-256 of the signed statement, hexadecimal; the next checkpoint names it as `previous`.
    pub digest: String,
    /// How many chain heads it lists: those that moved since the checkpoint before.
    pub heads: u64,
    /// SHA-256 over the listed heads, hexadecimal.
    pub heads_digest: String,
    /// The digest of the checkpoint before, zeros for the first.
    pub previous: String,
    /// The statement's bytes, base64: what the signature is over.
    pub statement: String,
    /// The Ed25519 signature (RFC 8032), base64.
    pub signature: String,
    /// The Ed25519 public key, base64.
    pub public_key: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

impl From<&StoredCheckpoint> for CheckpointBody {
    fn from(stored: &StoredCheckpoint) -> Self {
        let statement = &stored.statement;
        Self {
            number: statement.number,
            digest: hex::encode(statement.digest()),
            heads: statement.heads,
            heads_digest: hex::encode(statement.heads_digest),
            previous: hex::encode(statement.previous),
            statement: STANDARD.encode(statement.to_bytes()),
            signature: STANDARD.encode(stored.signed.signature),
            public_key: STANDARD.encode(stored.signed.public_key),
            created_at: statement.created_at,
        }
    }
}

/// One page of checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointPage {
    /// The checkpoints, first one first.
    pub items: Vec<CheckpointBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Make a checkpoint: sign the chain heads that moved since the last one. Auditors and administrators.
#[utoipa::path(post, path = "/v1/audit/checkpoints", tag = "audit",
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation")),
    responses(
        (status = 201, description = "Made", body = CheckpointBody)))]
pub async fn create_checkpoint(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
) -> Result<Response, Problem> {
    let claim = headers.claim(b"{}");
    let render = |made: &StoredCheckpoint| {
        let body = serde_json::to_string(&CheckpointBody::from(made)).unwrap_or_default();
        Rendered { status: 201, etag: None, location: None, body }
    };
    let (store, signer) = (state.audit.as_ref(), state.signer.as_ref());
    let written = post_checkpoint(store, signer, &state.writing, &caller, claim.as_ref(), &render).await?;
    Ok(respond(written))
}

/// List the checkpoints. Auditors and administrators.
#[utoipa::path(get, path = "/v1/audit/checkpoints", tag = "audit",
    params(("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = CheckpointPage)))]
pub async fn list_checkpoints(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<CheckpointPage>, Problem> {
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let cursor = query.text("cursor");
    query.finish()?;
    require_keeper(&caller)?;
    let tenant = caller.actor.tenant_id;
    let after = match cursor.map(|cursor| state.cursors.open(tenant, "checkpoints", &cursor)).transpose()? {
        Some(bytes) => {
            u64::from_be_bytes(bytes.try_into().map_err(|_| UseCaseError::InvalidCursor("it holds no position"))?)
        }
        None => 0,
    };
    let mut found = state.audit.checkpoints(tenant, after, limit + 1).await.map_err(UseCaseError::from)?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| state.cursors.sign(tenant, "checkpoints", &last.statement.number.to_be_bytes()));
    Ok(Json(CheckpointPage { items: found.iter().map(CheckpointBody::from).collect(), next }))
}

/// The key that verifies checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct PublicKeyBody {
    /// Always `Ed25519`.
    pub algorithm: &'static str,
    /// The 32 bytes of the key, base64.
    pub public_key: String,
}

/// Get the public key that verifies checkpoints; keep a copy outside the service.
#[utoipa::path(get, path = "/v1/audit/public-key", tag = "audit",
    responses(
        (status = 200, description = "The key", body = PublicKeyBody)))]
pub async fn get_public_key(
    State(state): State<ApiState>,
    Authenticated(_caller): Authenticated,
    _: NoQuery,
) -> Result<Json<PublicKeyBody>, Problem> {
    Ok(Json(PublicKeyBody { algorithm: "Ed25519", public_key: STANDARD.encode(state.signer.public_key()) }))
}
