//! `/v1/jobs`: administrators enqueue, watch, cancel and redrive jobs of their tenant, operators those of the platform.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::ids::JobId;
use docket_domain::job::{JobKind, JobState};
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::{Authenticated, JsonBody, NoQuery, PathId, Query, WriteHeaders};
use super::job_body::{CreateJob, JobBody, RedriveJobs, Redriven, job_order, redrive_kind};
use super::page::IdPage;
use super::presenter::respond;
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::HttpTenancyPresenter;
use crate::application::jobs::administer::{JobAct, Jobs, administer, list_jobs, read_job, require_keeper};
use crate::application::ports::job_store::JobFilter;

/// One page of jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobPage {
    /// The jobs, newest first.
    pub items: Vec<JobBody>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A kind of job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobKindBody {
    /// Its name.
    pub kind: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Attempts in all.
    pub max_attempts: u32,
    /// Time of one attempt, in seconds.
    pub timeout_seconds: u64,
    /// How many run at once in one worker.
    pub concurrency: usize,
    /// Whether a job that succeeded is kept with its result.
    pub keeps_results: bool,
    /// The roles that may enqueue it by hand.
    #[schema(value_type = Vec<String>)]
    pub enqueued_by: docket_domain::principal::Roles,
}

/// Every kind of job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobKinds {
    /// The kinds, by name.
    pub items: Vec<JobKindBody>,
}

fn parts(state: &ApiState) -> Jobs<'_> {
    let (writing, store, registry) = (&state.tenancy, state.jobs.as_ref(), &state.job_kinds);
    Jobs { writing, store, registry, presenter: &HttpTenancyPresenter }
}

/// Enqueue a job. With a unique key that a waiting or running job has, that job is the answer.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", request_body = CreateJob,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "There is a job with this unique key", body = JobBody),
        (status = 201, description = "Enqueued", body = JobBody, headers(("Location" = String)))))]
pub async fn post_job(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let act = JobAct::Enqueue(job_order(body.value));
    Ok(respond(administer(parts(&state), &caller, claim.as_ref(), act).await?))
}

/// List jobs, newest first. Jobs that succeeded without a result are not kept.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs",
    params(("state" = Option<String>, Query, description = "States, separated by commas: queued, running, succeeded, dead, cancelled"),
        ("kind" = Option<String>, Query, description = "Only this kind"),
        ("limit" = Option<u32>, Query, description = "Page size, 25 by default, at most 200"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before")),
    responses(
        (status = 200, description = "A page", body = JobPage)))]
pub async fn get_jobs(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Response, Problem> {
    require_keeper(&caller)?;
    let filter = JobFilter { states: query.values::<JobState>("state"), kind: query.value::<JobKind>("kind") };
    let states: Vec<_> = filter.states.iter().map(|state| state.as_str()).collect();
    let bound = format!("jobs state={} kind={}", states.join(","), filter.kind.as_ref().map_or("", JobKind::as_str));
    let page = IdPage::read(&state, caller.actor.tenant_id, bound, query)?;
    let before = page.request.after.map(JobId);
    let mut rows = list_jobs(state.jobs.as_ref(), &caller, &filter, before, page.request.limit).await?;
    let next = page.finish(&state, &mut rows, |job| job.id.0);
    Ok(Json(JobPage { items: rows.iter().map(JobBody::from).collect(), next }).into_response())
}

/// Get a job.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs",
    params(("id" = Uuid, Path, description = "The job")),
    responses(
        (status = 200, description = "The job", body = JobBody)))]
pub async fn get_job(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    let job = read_job(state.jobs.as_ref(), &caller, JobId(id)).await?;
    Ok(Json(JobBody::from(&job)).into_response())
}

/// Cancel a job: one that waits ends now, one that runs is asked to end, which shows as `cancel_requested`.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = "jobs",
    params(("id" = Uuid, Path, description = "The job"),
        ("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "The job after the act", body = JobBody)))]
pub async fn cancel_job(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
) -> Result<Response, Problem> {
    let claim = headers.claim(b"");
    Ok(respond(administer(parts(&state), &caller, claim.as_ref(), JobAct::Cancel(JobId(id))).await?))
}

/// Put a dead letter back into the queue, with all its attempts before it again.
#[utoipa::path(post, path = "/v1/jobs/{id}/redrive", tag = "jobs",
    params(("id" = Uuid, Path, description = "The job"),
        ("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "The job after the act", body = JobBody)))]
pub async fn redrive_job(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
    headers: WriteHeaders,
) -> Result<Response, Problem> {
    let claim = headers.claim(b"");
    Ok(respond(administer(parts(&state), &caller, claim.as_ref(), JobAct::Redrive(JobId(id))).await?))
}

/// Put the dead letters of a kind back into the queue, oldest first, up to 1,000 at a time.
#[utoipa::path(post, path = "/v1/jobs/redrive", tag = "jobs", request_body = RedriveJobs,
    params(("Idempotency-Key" = String, Header, description = "Your name for this operation, 1 to 255 visible ASCII characters")),
    responses(
        (status = 200, description = "How many there were", body = Redriven)))]
pub async fn redrive_jobs(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let act = JobAct::RedriveKind(redrive_kind(body.value));
    Ok(respond(administer(parts(&state), &caller, claim.as_ref(), act).await?))
}

/// List the kinds of jobs, what they do and who may enqueue them.
#[utoipa::path(get, path = "/v1/job-kinds", tag = "jobs",
    responses(
        (status = 200, description = "The kinds", body = JobKinds)))]
pub async fn list_job_kinds(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
) -> Result<Response, Problem> {
    require_keeper(&caller)?;
    let kind = |spec: crate::application::jobs::KindSpec| JobKindBody {
        kind: spec.kind,
        about: spec.about,
        max_attempts: spec.retry.max_attempts,
        timeout_seconds: spec.timeout.as_secs(),
        concurrency: spec.concurrency,
        keeps_results: spec.keeps_results,
        enqueued_by: spec.enqueued_by,
    };
    let items = state.job_kinds.specs().into_iter().map(kind).collect();
    Ok(Json(JobKinds { items }).into_response())
}
