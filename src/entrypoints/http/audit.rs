//! `/v1/cases/{id}/audit` and `/v1/audit`: reading and verifying the trail.

use axum::Json;
use axum::extract::State;
use docket_domain::ids::CaseId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::extract::{Authenticated, NoQuery, PathId, Query};
use super::problem::Problem;
use super::state::ApiState;
use crate::application::audit::read_trail::{TrailReading, read_administrative_trail, read_trail};
use crate::application::audit::verify_checkpoints::Witness;
use crate::application::audit::verify_part::{Budget, Place};
use crate::application::audit::verify_trail::{verify_case_trail, verify_tenant_part};
use crate::application::error::UseCaseError;
use crate::application::ports::audit_store::{StoredRecord, TrailRange};
use crate::application::request::Caller;

/// Chains in one part of a verification at most.
const CHAINS_IN_A_PART: u32 = 10_000;
/// Records after which a part ends: a few seconds' work, far below the time limit of a request.
const RECORDS_IN_A_PART: u64 = 100_000;

/// One page of a trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrailPage {
    /// The records, oldest first: the members that were hashed, and `prev_hash` and `hash` in hexadecimal.
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Value>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Read the audit trail of a case. Auditors and supervisors read that of every case they may see, reporter and assignee
/// that of their own case; what a deleted case left behind is for auditors.
#[utoipa::path(get, path = "/v1/cases/{id}/audit", tag = "audit",
    params(("id" = Uuid, Path, description = "The case"),
        ("from" = Option<String>, Query, description = "Occurred at or after (RFC 3339)"),
        ("to" = Option<String>, Query, description = "Occurred before (RFC 3339)"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = TrailPage)))]
pub async fn get_case_trail(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    query: Query,
) -> Result<Json<TrailPage>, Problem> {
    let page = read_page(&state, &caller, id, query)?;
    let records = read_trail(reading(&state), &caller, CaseId(id), page.range, page.limit + 1).await?;
    Ok(Json(page.answer(&state, &caller, records)))
}

/// Read the trail of administrative acts (principals, keys): auditors and administrators.
#[utoipa::path(get, path = "/v1/audit", tag = "audit",
    params(("from" = Option<String>, Query, description = "Occurred at or after (RFC 3339)"),
        ("to" = Option<String>, Query, description = "Occurred before (RFC 3339)"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = TrailPage)))]
pub async fn get_administrative_trail(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    query: Query,
) -> Result<Json<TrailPage>, Problem> {
    let page = read_page(&state, &caller, caller.actor.tenant_id.0, query)?;
    let records = read_administrative_trail(state.audit.as_ref(), &caller, page.range, page.limit + 1).await?;
    Ok(Json(page.answer(&state, &caller, records)))
}

/// The end of a chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeadBody {
    /// The number of records in order.
    pub seq: u64,
    /// The hash of the last of them, hexadecimal.
    pub hash: String,
}

/// The verdict on one chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChainVerdict {
    /// Whether nothing is wrong.
    pub valid: bool,
    /// How many records were found in order.
    pub records: u64,
    /// Where the part in order ends.
    pub head: HeadBody,
    /// What is wrong first, and where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Verify the hash chain of a case; for whoever may read its trail.
#[utoipa::path(get, path = "/v1/cases/{id}/audit/verify", tag = "audit",
    params(("id" = Uuid, Path, description = "The case")),
    responses(
        (status = 200, description = "The verdict", body = ChainVerdict)))]
pub async fn verify_case(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Json<ChainVerdict>, Problem> {
    let report = verify_case_trail(reading(&state), &caller, CaseId(id)).await?;
    let head = HeadBody { seq: report.head.seq, hash: hex::encode(report.head.hash) };
    let fault = report.fault.map(|fault| fault.to_string());
    Ok(Json(ChainVerdict { valid: fault.is_none(), records: report.head.seq, head, fault }))
}

/// One thing that is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct FaultBody {
    /// The chain, unless a checkpoint itself is wrong.
    pub chain_id: Option<Uuid>,
    /// What is wrong, and where.
    pub detail: String,
}

/// The verdict on a tenant's whole trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrailVerdict {
    /// Whether nothing is wrong.
    pub valid: bool,
    /// How many chains were walked: one for each case, also of deleted ones, and the tenant's own.
    pub chains: u64,
    /// How many records were found in order.
    pub records: u64,
    /// How many checkpoints were verified.
    pub checkpoints: u64,
    /// What is wrong, at most 100.
    pub faults: Vec<FaultBody>,
    /// The cursor of the next part; absent when the trail was verified to its end. The verdict on the whole trail is
    /// valid if that on each part is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Verify chains and checkpoints of the tenant, for auditors: all at once where they fit into one request, else in
/// parts. Follow `next` until it is absent; verdict and counts are of each part alone.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "audit",
    params(("limit" = Option<u32>, Query, description = "Chains in one part, 10000 by default and at most"),
        ("cursor" = Option<String>, Query, description = "`next` of the part before"),
        ("witness" = Option<String>, Query,
        description = "A checkpoint that you wrote down, as NUMBER:DIGEST; it must still be there; the same for every part")),
    responses(
        (status = 200, description = "The verdict", body = TrailVerdict)))]
pub async fn verify_tenant(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<TrailVerdict>, Problem> {
    let witness = query.value::<Witness>("witness");
    let chains = query.limit(CHAINS_IN_A_PART, CHAINS_IN_A_PART);
    let cursor = query.text("cursor");
    query.finish()?;
    let (tenant, bound) = (caller.actor.tenant_id, format!("audit-verify|{witness:?}"));
    let unreadable = UseCaseError::InvalidCursor("it holds no position");
    let from = match cursor.map(|cursor| state.cursors.open(tenant, &bound, &cursor)).transpose()? {
        Some(bytes) => Place::from_bytes(&bytes).ok_or(unreadable)?,
        None => Place::START,
    };
    let budget = Budget { chains, records: RECORDS_IN_A_PART };
    let (store, signer) = (state.audit.as_ref(), state.signer.as_ref());
    let report = verify_tenant_part(store, signer, &caller, witness, from, budget).await?;
    let next = report.next.map(|place| state.cursors.sign(tenant, &bound, &place.to_bytes()));
    let faults = report.faults.into_iter();
    let faults: Vec<_> = faults.map(|fault| FaultBody { chain_id: fault.chain_id, detail: fault.detail }).collect();
    let (chains, records, checkpoints) = (report.chains, report.records, report.checkpoints);
    Ok(Json(TrailVerdict { valid: faults.is_empty(), chains, records, checkpoints, faults, next }))
}

/// The parts that reading a trail needs.
fn reading(state: &ApiState) -> TrailReading<'_> {
    TrailReading { audit: state.audit.as_ref(), cases: state.cases.as_ref(), writing: &state.writing }
}

/// The page that was asked for.
struct Page {
    range: TrailRange,
    limit: u32,
    bound: String,
}

fn read_page(state: &ApiState, caller: &Caller, chain: Uuid, mut query: Query) -> Result<Page, UseCaseError> {
    let (from, to) = (query.instant("from"), query.instant("to"));
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let cursor = query.text("cursor");
    query.finish()?;
    let bound = format!("audit|{chain}|{from:?}|{to:?}");
    let unreadable = |_| UseCaseError::InvalidCursor("it holds no position");
    let after_seq =
        match cursor.map(|cursor| state.cursors.open(caller.actor.tenant_id, &bound, &cursor)).transpose()? {
            Some(bytes) => u64::from_be_bytes(bytes.try_into().map_err(unreadable)?),
            None => 0,
        };
    Ok(Page { range: TrailRange { from, to, after_seq }, limit, bound })
}

impl Page {
    fn answer(self, state: &ApiState, caller: &Caller, mut records: Vec<StoredRecord>) -> TrailPage {
        // One more than asked tells whether there is a next page.
        let more = records.len() > self.limit as usize;
        records.truncate(self.limit as usize);
        let sign =
            |last: &StoredRecord| state.cursors.sign(caller.actor.tenant_id, &self.bound, &last.seq.to_be_bytes());
        let next = records.last().filter(|_| more).map(sign);
        TrailPage { items: records.iter().map(item).collect(), next }
    }
}

/// The members of the record as they were hashed, and its hashes. A record that is no JSON object (which only somebody
/// who tampered could have brought about) is shown as it is.
fn item(stored: &StoredRecord) -> Value {
    let mut members = match serde_json::from_str(&stored.canonical) {
        Ok(Value::Object(members)) => members,
        Ok(other) => serde_json::Map::from_iter([("record".to_owned(), other)]),
        Err(_) => serde_json::Map::from_iter([("record".to_owned(), stored.canonical.clone().into())]),
    };
    members.insert("prev_hash".to_owned(), hex::encode(stored.prev_hash).into());
    members.insert("hash".to_owned(), hex::encode(stored.hash).into());
    Value::Object(members)
}
