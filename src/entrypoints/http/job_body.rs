//! Jobs on the wire: the representation and the forms.

use docket_domain::job::Priority;
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::form::Form;
use crate::application::error::Invalid;
use crate::application::jobs::administer::JobOrder;
use crate::application::ports::job_store::Job;

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobBody {
    /// Identifier.
    pub id: Uuid,
    /// What sort of work.
    pub kind: String,
    /// `queued`, `running`, `succeeded`, `dead` or `cancelled`. A job that succeeded is kept only when it has a result.
    pub state: &'static str,
    /// `urgent`, `high`, `normal` or `low`.
    pub priority: &'static str,
    /// What the handler was given.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// How often it was begun.
    pub attempt: u32,
    /// When it is due.
    #[serde(with = "time::serde::rfc3339::option")]
    pub run_at: Option<OffsetDateTime>,
    /// The key under which it is alone.
    pub unique_key: Option<String>,
    /// How far it is, in percent.
    pub progress: Option<u8>,
    /// Whether somebody asked for its end while it runs.
    pub cancel_requested: bool,
    /// What it gave.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// Why it failed the last time.
    pub error: Option<String>,
    /// Who asked for it; the nil UUID is docket itself.
    pub requested_by: Uuid,
    /// When it was enqueued.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When a worker last took it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

impl From<&Job> for JobBody {
    fn from(job: &Job) -> Self {
        let job = job.clone();
        Self {
            id: job.id.0,
            kind: job.kind.into(),
            state: job.state.as_str(),
            priority: job.priority.as_str(),
            payload: job.payload,
            attempt: job.attempt,
            run_at: job.run_at,
            unique_key: job.unique_key,
            progress: job.progress,
            cancel_requested: job.cancel_requested,
            result: job.result,
            error: job.error,
            requested_by: job.requested_by.0,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

/// A job to be enqueued.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "describes the form to the OpenAPI document")]
pub struct CreateJob {
    /// What sort of work; `GET /v1/job-kinds` lists them.
    kind: String,
    /// What the handler is to know; what it must hold depends on the kind.
    #[schema(value_type = Option<Object>)]
    payload: Option<Value>,
    /// `urgent`, `high`, `normal` (unless said otherwise) or `low`.
    priority: Option<String>,
    /// Not before this.
    run_at: Option<String>,
    /// While a job of this kind with this key waits or runs, that one is the answer; up to 200 characters.
    unique_key: Option<String>,
}

/// Which dead letters to put back.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "describes the form to the OpenAPI document")]
pub struct RedriveJobs {
    /// The kind.
    kind: String,
}

/// Dead letters that were put back.
#[derive(Debug, Serialize, ToSchema)]
pub struct Redriven {
    /// The kind.
    pub kind: String,
    /// How many dead letters of the kind there were; up to 1,000 are put back at a time.
    pub dead: u64,
}

/// Reads an order; mistakes are told together.
pub fn job_order(body: Value) -> Result<JobOrder, Vec<Invalid>> {
    let payload = body.get("payload").filter(|payload| !payload.is_null()).cloned().unwrap_or_else(|| json!({}));
    let mut form = Form::new(body);
    form.take("payload");
    let kind = form.required_line("kind", 63);
    let priority = form.name::<Priority>("priority");
    let run_at = form.instant("run_at");
    let unique_key = form.filled_line("unique_key", 200);
    if payload.to_string().contains("\\u0000") {
        form.error("payload", "must not contain U+0000");
    }
    form.finish("kind, payload, priority, run_at, unique_key")?;
    Ok(JobOrder {
        kind: kind.unwrap_or_default(),
        payload,
        priority: priority.unwrap_or(Priority::Normal),
        run_at,
        unique_key,
    })
}

/// Reads which dead letters are meant.
pub fn redrive_kind(body: Value) -> Result<String, Vec<Invalid>> {
    let mut form = Form::new(body);
    let kind = form.required_line("kind", 63);
    form.finish("kind")?;
    Ok(kind.unwrap_or_default())
}
