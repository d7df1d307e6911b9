//! `GET /v1/cases`: filter, sort, search and page.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::case::Case;
use docket_domain::case::visibility::Sight;
use docket_domain::ids::CaseId;
use docket_domain::principal::Scope;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::case_body::CaseBody;
use super::extract::{Authenticated, Query};
use super::problem::Problem;
use super::state::ApiState;
use crate::application::error::UseCaseError;
use crate::application::ports::case_reader::{CaseFilter, CaseSort, Position, Viewer};
use crate::application::request::Caller;

/// One page of cases.
#[derive(Debug, Serialize, ToSchema)]
pub struct CasePage<'a> {
    /// The cases, in the order asked for.
    pub items: Vec<CaseBody<'a>>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How many cases the list has in all, if `count=true` was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// List, filter, sort and search cases. Cases that the caller may not see are not there, not even in the count. Restricted
/// cases stand there without narrative, decision and attributes: reading those is recorded, by `GET /v1/cases/{id}`.
#[utoipa::path(get, path = "/v1/cases", tag = "cases",
    params(("state" = Option<String>, Query, description = "States, separated by commas"),
        ("severity" = Option<String>, Query, description = "Severities, separated by commas"),
        ("confidentiality" = Option<String>, Query, description = "Confidentialities, separated by commas"),
        ("assignee_id" = Option<Uuid>, Query, description = "Responsible principal"),
        ("reporter_id" = Option<Uuid>, Query, description = "Principal that opened the case"),
        ("case_type" = Option<String>, Query, description = "Exactly this case type"),
        ("reference" = Option<String>, Query, description = "Exactly this reference"),
        ("opened_from" = Option<String>, Query, description = "Opened at or after (RFC 3339)"),
        ("opened_before" = Option<String>, Query, description = "Opened before (RFC 3339)"),
        ("due_before" = Option<String>, Query, description = "Open and due before (RFC 3339)"),
        ("overdue" = Option<bool>, Query, description = "Undecided and past the deadline; a clock that stands still does not pass it"),
        ("q" = Option<String>, Query, description = "Words to find in title, respondent and narrative, in any of their forms; \"quoted phrases\", or, -without. Of references it finds only parts that are no English words: for a case by its reference use `reference`"),
        ("sort" = Option<String>, Query, description = "-opened_at (default), opened_at, due_at. A list by due_at has only open cases with a deadline, and so has its count"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
        ("count" = Option<bool>, Query, description = "Count all cases of the list, too")),
    responses(
        (status = 200, description = "A page", body = CasePage<'static>)))]
pub async fn list_cases(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Response, Problem> {
    caller.require_scope(Scope::CasesRead)?;
    let mut filter = read_filter(&mut query);
    let overdue = query.flag("overdue");
    let sort = read_sort(&mut query);
    let limit = query.limit(state.page_size_default, state.page_size_max);
    let with_count = query.flag("count");
    let cursor = query.text("cursor");
    query.finish()?;
    let bound = format!("{filter:?}|{sort:?}|{overdue}");
    // Not part of what the cursor is bound to: time goes on between two pages.
    filter.overdue_at = overdue.then(|| state.clock.now());
    let tenant = caller.actor.tenant_id;
    let after = cursor.map(|cursor| state.cursors.open(tenant, &bound, &cursor)).transpose()?;
    let after = after.map(|bytes| position_from(&bytes)).transpose()?;
    let viewer = viewer(&caller);
    // One more than asked tells whether there is a next page.
    let mut cases = state.cases.list(viewer, &filter, sort, after, limit + 1).await.map_err(UseCaseError::from)?;
    let more = cases.len() > limit as usize;
    cases.truncate(limit as usize);
    let next = cases.last().filter(|_| more).map(|last| state.cursors.sign(tenant, &bound, &position_of(last, sort)));
    let mut count = None;
    if with_count {
        count = Some(state.cases.count(viewer, &filter, sort).await.map_err(UseCaseError::from)?);
    }
    let items = cases.iter().map(CaseBody::listed).collect();
    Ok(Json(CasePage { items, next, count }).into_response())
}

/// What the caller may see, for the store.
pub fn viewer(caller: &Caller) -> Viewer {
    let actor = &caller.actor;
    Viewer { tenant_id: actor.tenant_id, principal_id: actor.principal_id, sight: Sight::of(actor) }
}

fn read_filter(query: &mut Query) -> CaseFilter {
    CaseFilter {
        states: query.values("state"),
        severities: query.values("severity"),
        confidentialities: query.values("confidentiality"),
        assignee_id: query.principal("assignee_id"),
        reporter_id: query.principal("reporter_id"),
        case_type: query.text("case_type"),
        reference: query.text("reference"),
        opened_from: query.instant("opened_from"),
        opened_before: query.instant("opened_before"),
        due_before: query.instant("due_before"),
        overdue_at: None,
        text: query.text("q"),
    }
}

fn read_sort(query: &mut Query) -> CaseSort {
    match query.text("sort").as_deref() {
        None | Some("-opened_at") => CaseSort::OpenedDescending,
        Some("opened_at") => CaseSort::OpenedAscending,
        Some("due_at") => CaseSort::DueAscending,
        Some(_) => {
            query.error("sort", "must be one of: -opened_at, opened_at, due_at");
            CaseSort::default()
        }
    }
}

/// 8 bytes of microseconds since the epoch and 16 bytes of id.
fn position_of(case: &Case, sort: CaseSort) -> Vec<u8> {
    let at = if sort == CaseSort::DueAscending { case.due_at.unwrap_or(case.opened_at) } else { case.opened_at };
    let micros = i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
    [&micros.to_be_bytes()[..], case.id.0.as_bytes()].concat()
}

fn position_from(bytes: &[u8]) -> Result<Position, UseCaseError> {
    let unreadable = || UseCaseError::InvalidCursor("it holds no position");
    let (micros, id) = bytes.split_at_checked(8).ok_or_else(unreadable)?;
    let micros = i64::from_be_bytes(micros.try_into().map_err(|_| unreadable())?);
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|_| unreadable())?;
    Ok(Position { at, id: CaseId(Uuid::from_slice(id).map_err(|_| unreadable())?) })
}
