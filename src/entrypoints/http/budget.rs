//! `/v1/budget`: what a tenant may spend on models in a month.

use axum::extract::State;
use axum::response::Response;
use docket_domain::budget::{BUDGET_MAX_NANOS, TenantBudget};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::extract::{Authenticated, JsonBody, NoQuery, WriteHeaders};
use super::form::Form;
use super::presenter::{respond, show};
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::HttpTenancyPresenter;
use crate::application::error::Invalid;
use crate::application::request::Rendered;
use crate::application::tenancy::set_budget::{read_budget, set_budget};

/// A budget as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
pub struct BudgetBody {
    /// Grows by one with every change; 1 before the first.
    #[schema(minimum = 1)]
    pub version: u64,
    /// Nano-dollars in a calendar month (UTC); null before the first change: then the service's configuration holds.
    pub monthly_nanos: Option<u64>,
    /// When it was set; null before the first change.
    #[serde(with = "time::serde::rfc3339::option")]
    pub updated_at: Option<OffsetDateTime>,
}

impl From<&TenantBudget> for BudgetBody {
    fn from(budget: &TenantBudget) -> Self {
        Self { version: budget.version, monthly_nanos: budget.monthly_nanos, updated_at: budget.updated_at }
    }
}

/// What a client sends to set the budget.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct SetBudget {
    /// Nano-dollars in a calendar month (UTC): 25000000000 are 25 dollars. 0 refuses every call that costs anything.
    #[schema(minimum = 0, maximum = 10_000_000_000_000_000_i64)]
    monthly_nanos: u64,
}

/// Get what the tenant may spend on models in a month. What was spent is at `/v1/usage`.
#[utoipa::path(get, path = "/v1/budget", tag = "knowledge",
    responses(
        (status = 200, description = "The budget", body = BudgetBody, headers(("ETag" = String)))))]
pub async fn get_budget(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
) -> Result<Response, Problem> {
    let budget = read_budget(state.answering.ledger.as_ref(), &caller).await?;
    Ok(show(rendered(&budget)))
}

/// Set what the tenant may spend on models in a month. It holds from the next call on.
#[utoipa::path(put, path = "/v1/budget", tag = "knowledge", request_body = SetBudget,
    params(("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional here: If-Match already keeps a retry from doubling")),
    responses(
        (status = 200, description = "The budget after the change", body = BudgetBody, headers(("ETag" = String)))))]
pub async fn put_budget(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let stamp = (claim.as_ref(), headers.if_match);
    let (ledger, nanos) = (state.answering.ledger.as_ref(), monthly_nanos(body.value));
    let written = set_budget(&state.tenancy, ledger, &caller, stamp, nanos, &HttpTenancyPresenter).await?;
    Ok(respond(written))
}

/// The answer that shows a budget.
pub fn rendered(budget: &TenantBudget) -> Rendered {
    let body = serde_json::to_string(&BudgetBody::from(budget)).unwrap_or_default();
    Rendered { status: 200, etag: Some(budget.etag()), location: None, body }
}

/// Reads the form of [`SetBudget`].
fn monthly_nanos(body: Value) -> Result<u64, Vec<Invalid>> {
    let mut form = Form::new(body);
    if !form.has_value("monthly_nanos") {
        form.error("monthly_nanos", "is required");
    }
    let nanos = form.whole_number("monthly_nanos", 0, BUDGET_MAX_NANOS);
    form.finish("monthly_nanos")?;
    Ok(nanos.unwrap_or_default())
}
