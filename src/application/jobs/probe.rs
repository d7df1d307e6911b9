//! The probe: a job that does nothing, to see that the queue works and how long a job waits.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::principal::{Role, Roles};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::handler::{JobContext, JobError, JobHandler, KindSpec, Outcome};
use crate::application::ports::Clock;

/// The kind.
pub const PROBE: &str = "probe";

/// Says when it was run, unless `report` is false; sleeps for `sleep_ms` and fails when `fail` is true.
pub struct Probe {
    /// The service's clock.
    pub clock: Arc<dyn Clock>,
}

/// The longest sleep that may be asked for.
const SLEEP_MAX: u64 = 60_000;

#[async_trait]
impl JobHandler for Probe {
    fn spec(&self) -> KindSpec {
        KindSpec {
            concurrency: 16,
            timeout: Duration::from_millis(SLEEP_MAX + 5_000),
            keeps_results: true,
            enqueued_by: Roles::of(&[Role::Admin, Role::Operator]),
            ..KindSpec::new(PROBE, "Does nothing and says when: shows that the queue works.")
        }
    }

    fn check(&self, payload: &Value) -> Result<(), String> {
        let members = payload.as_object().ok_or("must be an object")?;
        for (name, value) in members {
            match name.as_str() {
                "sleep_ms" if value.as_u64().is_some_and(|sleep| sleep <= SLEEP_MAX) => {}
                "sleep_ms" => return Err(format!("`sleep_ms` must be a whole number up to {SLEEP_MAX}")),
                "fail" | "report" if value.is_boolean() => {}
                "fail" | "report" => return Err(format!("`{name}` must be true or false")),
                other => return Err(format!("`{other}` is not known here")),
            }
        }
        Ok(())
    }

    async fn run(&self, context: &JobContext, payload: &Value) -> Result<Outcome, JobError> {
        let began = self.clock.now();
        let sleep = Duration::from_millis(payload["sleep_ms"].as_u64().unwrap_or_default());
        // The timer's shortest sleep is a millisecond, also for zero.
        if !sleep.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(sleep) => {}
                () = context.cancelled.cancelled() => return Err(JobError::Cancelled),
            }
        }
        if payload["fail"] == true {
            return Err(JobError::Fatal("asked to fail".to_owned()));
        }
        if payload["report"] == false {
            return Ok(Outcome::Done);
        }
        Ok(Outcome::DoneWith(json!({"began_at": began.format(&Rfc3339).unwrap_or_default()})))
    }
}
