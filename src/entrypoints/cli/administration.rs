//! What `docket tenants` and `docket keys` share: the system actor at the command line, answers as JSON, tables, mistakes.

use std::fmt::Write as _;
use std::future::Future;

use console::style;
use docket_domain::ids::TenantId;
use docket_domain::principal::Actor;
use docket_domain::tenancy::{LABEL_MAX, Tenant};
use docket_domain::text::{REASON_MAX, required_line, required_prose};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use super::Failure;
use crate::application::error::UseCaseError;
use crate::application::request::{Caller, Rendered, Written};
use crate::application::tenancy::unit_of_work::{DeliverySubject, Subject, TenancyPresenter, TenancyWriting};
use crate::bootstrap::{self, Parts};
use crate::config::{Config, Loaded};

/// What an administrative command works with.
pub struct Desk {
    /// The use cases' parts.
    pub tenancy: TenancyWriting,
    /// The settings.
    pub config: Config,
    /// The time and fresh ids.
    pub parts: Parts,
}

/// Opens the database, does the work, closes the database.
pub async fn at_desk<F>(loaded: Loaded, work: impl FnOnce(Desk) -> F) -> Result<(), Failure>
where
    F: Future<Output = Result<(), Failure>>,
{
    let config = loaded.config;
    let database = bootstrap::database(&config).await?;
    let parts = Parts::from_pool(database.pool.clone());
    let outcome = work(Desk { tenancy: parts.administration(&config), config, parts }).await;
    database.close().await.map_err(|error| Failure::new(format!("cannot close the database: {error}")))?;
    outcome
}

impl Desk {
    /// docket itself, acting on a tenant; each act gets an id of its own, by which the audit trail names it.
    pub fn caller(&self, tenant: TenantId) -> Caller {
        let request_id = format!("command-line-{}", self.parts.clock.new_id());
        Caller { actor: Actor::system(tenant), request_id, trace_id: String::new(), traceparent: None }
    }

    /// The tenant of this name.
    pub async fn tenant(&self, name: &str) -> Result<Tenant, Failure> {
        let found = self.tenancy.store.tenant_named(name).await.map_err(|error| failed(error.into()))?;
        found.ok_or_else(|| {
            Failure::new(format!("there is no tenant {name:?}")).with_hint("`docket tenants list` shows them all")
        })
    }
}

/// Renders what was done as JSON: `{tenant, principal, api_key, key}`, each where there is one.
pub struct JsonAnswer;

impl TenancyPresenter for JsonAnswer {
    fn done(&self, subject: &Subject, created: bool, key: Option<&str>) -> Rendered {
        let mut body = match subject {
            Subject::Tenant(tenant, None) => json!({"tenant": tenant}),
            Subject::Tenant(tenant, Some((principal, api_key))) => {
                json!({"tenant": tenant, "principal": principal, "api_key": api_key})
            }
            Subject::Principal(principal) => json!({"principal": principal}),
            Subject::Calendar(calendar) => json!({"calendar": calendar.to_record()}),
            Subject::Budget(budget) => json!({"budget": budget.to_record()}),
            Subject::Key(api_key) => json!({"api_key": api_key}),
            Subject::Delivery(DeliverySubject::Endpoint(endpoint)) => json!({"endpoint": endpoint}),
            Subject::Delivery(DeliverySubject::Report { body, .. }) => body.clone(),
            Subject::Document(document) => json!({"document": document}),
            Subject::Job(job) => json!({"job": job}),
            Subject::DeadLetters { kind, dead } => json!({"kind": kind, "dead": dead}),
        };
        if let Some(key) = key {
            body["key"] = json!(key);
        }
        let status = if created { 201 } else { 200 };
        Rendered { status, etag: None, location: None, body: body.to_string() }
    }
}

/// The answer of a use case as JSON.
pub fn answer(written: Result<Written, UseCaseError>) -> Result<Value, Failure> {
    let written = written.map_err(failed)?;
    serde_json::from_str(&written.rendered.body).map_err(|error| Failure::new(error.to_string()))
}

/// The mistake in words, each invalid member on a line of its own.
pub fn failed(error: UseCaseError) -> Failure {
    match error {
        UseCaseError::Invalid(mistakes) => {
            let told = mistakes.iter().map(|mistake| {
                let member = mistake.pointer.trim_start_matches('/').replace('_', "-");
                format!("--{member} {}", mistake.detail)
            });
            Failure::usage(told.collect::<Vec<_>>().join("; "))
        }
        UseCaseError::NotFound("principal") => {
            Failure::new("there is no such principal in this tenant").with_hint("`docket keys list` shows who has keys")
        }
        UseCaseError::NotFound("API key") => {
            Failure::new("there is no such key in this tenant").with_hint("`docket keys list` shows them all")
        }
        other => anyhow::Error::new(other).into(),
    }
}

/// Shows a new key once. People get it on standard error, where no redirected output keeps it by accident; `alone` puts
/// nothing but the key on standard output.
pub fn show_secret(answer: &Value, alone: bool) {
    let Some(key) = answer["key"].as_str() else { return };
    if alone {
        println!("{key}");
        return;
    }
    eprintln!("\n  {}\n", style(key).for_stderr().bold());
    eprintln!(
        "{} keep it now: it is stored nowhere and cannot be shown again.",
        style("warning:").for_stderr().yellow()
    );
}

/// Prints JSON for scripts.
pub fn print_json(value: &Value) {
    println!("{value:#}");
}

/// Columns as wide as their widest cell, two spaces apart; the first row is the heading.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| console::measure_text_width(cell)).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let padding = width - console::measure_text_width(cell) + 2;
            let _ = write!(line, "{cell}{:padding$}", "");
        }
        let line = line.trim_end();
        let _ = if number == 0 { writeln!(out, "{}", style(line).bold()) } else { writeln!(out, "{line}") };
    }
    out
}

/// A day and a minute in UTC, or a dash.
pub fn minute(at: Option<OffsetDateTime>) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]Z");
    at.and_then(|at| at.format(&format).ok()).unwrap_or_else(|| "-".to_owned())
}

/// Reads a name or label from the command line.
pub fn label(text: &str) -> Result<String, String> {
    required_line(text, LABEL_MAX).map_err(|error| error.to_string())
}

/// Reads a reason from the command line.
pub fn reason(text: &str) -> Result<String, String> {
    required_prose(text, REASON_MAX).map_err(|error| error.to_string())
}

/// Reads a length of time: a whole number with m, h or d.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "must be a whole number with m, h or d, for instance 12h or 90d".to_owned();
    let digits = text.get(..text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    let unit = match text.chars().last() {
        Some('m') => Duration::MINUTE,
        Some('h') => Duration::HOUR,
        Some('d') => Duration::DAY,
        _ => return Err(wrong()),
    };
    unit.checked_mul(i32::try_from(number).map_err(|_| wrong())?).ok_or_else(wrong)
}

/// When a key ends: after a length of time, or at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So long after now.
    After(Duration),
    /// At this instant.
    At(OffsetDateTime),
}

impl Expiry {
    /// The instant that is meant.
    pub fn from(self, now: OffsetDateTime) -> Result<OffsetDateTime, Failure> {
        match self {
            Self::At(at) => Ok(at),
            Self::After(span) => {
                now.checked_add(span).ok_or_else(|| Failure::usage("--expires lies outside the calendar"))
            }
        }
    }
}

/// Reads an expiry.
pub fn expiry(text: &str) -> Result<Expiry, String> {
    if let Ok(at) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Expiry::At(at.to_offset(time::UtcOffset::UTC)));
    }
    let wrong = |_| "must be a length like 90d or 12h, or an instant like 2027-01-31T00:00:00Z".to_owned();
    span(text).map(Expiry::After).map_err(wrong)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["NAME".to_owned(), "KEYS".to_owned()], vec!["rail-oversight".to_owned(), "3".to_owned()]];
        let plain = console::strip_ansi_codes(&table(&rows)).into_owned();
        assert_eq!(plain, "NAME            KEYS\nrail-oversight  3\n");
    }

    #[test]
    fn an_expiry_is_a_length_or_an_instant() {
        assert_eq!(expiry("90d"), Ok(Expiry::After(Duration::days(90))));
        assert_eq!(expiry("2027-01-31T01:00:00+01:00"), Ok(Expiry::At(datetime!(2027-01-31 0:00 UTC))));
        let now = datetime!(2026-11-21 9:00 UTC);
        assert_eq!(expiry("12h").unwrap().from(now), Ok(datetime!(2026-11-21 21:00 UTC)));
        for bad in ["", "d", "ü", "1y", "-1d", "2027-01-31", "99999999999d", "4294967295d"] {
            assert!(expiry(bad).is_err(), "{bad}");
        }
        assert!(expiry("2147483647d").is_ok_and(|far| far.from(now).is_err()));
    }
}
