//! One connection at work: it owns cases, knows their versions, and sends one request after the other.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::connection::Connection;
use crate::plan::{Plan, Work};
use crate::report::Tally;

/// A connection with its share of the work.
pub struct Walker {
    plan: &'static Plan,
    number: usize,
    connection: Connection,
    cases: Vec<OwnedCase>,
    request: String,
    sent: usize,
    tally: Tally,
}

/// A case that only this connection changes.
#[derive(Debug)]
struct OwnedCase {
    id: &'static str,
    version: u64,
    state: Stage,
}

/// The states of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    UnderReview,
    Escalated,
    DecisionProposed,
}

#[derive(Deserialize)]
struct Shown {
    version: u64,
    state: Stage,
}

impl Walker {
    /// Connects and learns where its cases stand.
    pub async fn prepare(plan: &'static Plan, number: usize) -> anyhow::Result<Self> {
        let connection = Connection::open(&plan.address).await?;
        let (request, tally) = (String::new(), Tally::default());
        let mut walker = Self { plan, number, connection, cases: Vec::new(), request, sent: 0, tally };
        if let Work::Transition { cases } = &plan.work {
            for id in cases.iter().skip(number).step_by(plan.connections) {
                let Shown { version, state } = walker.look(id).await?;
                walker.cases.push(OwnedCase { id, version, state });
            }
        }
        Ok(walker)
    }

    /// Sends until `end`; counts what was sent from `begin` on.
    pub async fn run(mut self, begin: Instant, end: Instant) -> Tally {
        let mut due = Instant::now();
        let pause = self.plan.rate.map(|rate| Duration::from_secs_f64(self.connections() / rate));
        // Connections begin at different moments within one pause, or all would be due at once.
        due += pause.map_or(Duration::ZERO, |pause| pause.mul_f64(self.share()));
        loop {
            if pause.is_some() {
                tokio::time::sleep_until(due.into()).await;
            }
            let from = if pause.is_some() { due } else { Instant::now() };
            if from >= end {
                return self.tally;
            }
            let outcome = self.step().await;
            let counts = from >= begin;
            match outcome {
                Ok(None) if counts => {
                    self.tally.latencies.push(u32::try_from(from.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
                Ok(Some((status, body))) if counts => self.tally.fail(status, &body),
                Ok(_) => {}
                Err(error) => {
                    self.tally.fail(0, error.to_string().as_bytes());
                    match Connection::open(&self.plan.address).await {
                        Ok(fresh) => self.connection = fresh,
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                }
            }
            due += pause.unwrap_or_default();
        }
    }

    /// One request; status and body if it was not successful.
    async fn step(&mut self) -> anyhow::Result<Option<(u16, Vec<u8>)>> {
        let turn = self.sent;
        self.sent += 1;
        let wanted = match &self.plan.work {
            Work::Get { paths } => {
                // A start of its own, so that connections do not ask the same at the same time.
                let path = &paths[(turn + self.number * paths.len() / self.plan.connections) % paths.len()];
                self.head("GET", path);
                self.request.push_str("\r\n");
                200
            }
            Work::Create { bodies } => {
                self.head("POST", "/v1/cases");
                self.idempotent_body(&bodies[turn % bodies.len()], None);
                201
            }
            Work::Transition { .. } => {
                let index = turn % self.cases.len();
                let (id, version, state) = (self.cases[index].id, self.cases[index].version, self.cases[index].state);
                let (body, next) = command(state, version);
                self.head("POST", &format!("/v1/cases/{id}/transitions"));
                self.idempotent_body(body, Some(version));
                let answer = self.connection.exchange(self.request.as_bytes()).await?;
                if answer.status == 200 {
                    self.cases[index].version += 1;
                    self.cases[index].state = next;
                    return Ok(None);
                }
                let failed = (answer.status, answer.body.to_vec());
                let Shown { version, state } = self.look(id).await?;
                (self.cases[index].version, self.cases[index].state) = (version, state);
                return Ok(Some(failed));
            }
        };
        let answer = self.connection.exchange(self.request.as_bytes()).await?;
        Ok((answer.status != wanted).then(|| (answer.status, answer.body.to_vec())))
    }

    async fn look(&mut self, id: &str) -> anyhow::Result<Shown> {
        self.head("GET", &format!("/v1/cases/{id}"));
        self.request.push_str("\r\n");
        let answer = self.connection.exchange(self.request.as_bytes()).await?;
        ensure!(answer.status == 200, "{}: {}", answer.status, String::from_utf8_lossy(answer.body));
        serde_json::from_slice(answer.body).with_context(|| format!("case {id} is in no state of the walk"))
    }

    fn head(&mut self, method: &str, path: &str) {
        self.request.clear();
        let Plan { address, key, .. } = self.plan;
        let _ = write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nAccept: application/json\r\n"
        );
    }

    fn idempotent_body(&mut self, body: &str, version: Option<u64>) {
        let (run, number, sent, length) = (&self.plan.run, self.number, self.sent, body.len());
        let _ = write!(self.request, "Idempotency-Key: {run}-{number}-{sent}\r\n");
        if let Some(version) = version {
            let _ = write!(self.request, "If-Match: \"v{version}\"\r\n");
        }
        let _ = write!(self.request, "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
    }

    #[allow(clippy::cast_precision_loss, reason = "a few connections")]
    fn connections(&self) -> f64 {
        self.plan.connections as f64
    }

    #[allow(clippy::cast_precision_loss, reason = "a few connections")]
    fn share(&self) -> f64 {
        self.number as f64 / self.plan.connections as f64
    }
}

/// The next command of the walk and the state it leads to.
fn command(state: Stage, version: u64) -> (&'static str, Stage) {
    match state {
        Stage::UnderReview if version % 4 < 2 => {
            (r#"{"command":"escalate","reason":"Two vessels reported near misses."}"#, Stage::Escalated)
        }
        Stage::UnderReview => (
            r#"{"command":"propose_decision","decision":"Relight the buoy within seven days."}"#,
            Stage::DecisionProposed,
        ),
        Stage::Escalated => (r#"{"command":"de_escalate"}"#, Stage::UnderReview),
        Stage::DecisionProposed => {
            (r#"{"command":"return_for_rework","reason":"The deadline is too short."}"#, Stage::UnderReview)
        }
    }
}
