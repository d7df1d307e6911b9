//! What to send, to whom, for how long.

use serde::Deserialize;

/// The plan of one run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Address and port, for instance `127.0.0.1:8080`.
    pub address: String,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// Seconds that count.
    pub seconds: f64,
    /// Seconds before that do not count.
    pub warmup_seconds: f64,
    /// Requests a second over all connections, at constant arrival; absent: as fast as answers come back.
    /// Latency then counts from the moment a request was due, so that a stall is not hidden by waiting senders.
    pub rate: Option<f64>,
    /// The API key.
    pub key: String,
    /// Distinguishes the idempotency keys of this run from those of others.
    pub run: String,
    /// What to do.
    pub work: Work,
}

/// What the connections do.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    /// Guarded transitions, round and round: escalate, de-escalate, propose a decision, return it.
    Transition {
        /// The cases, shared out among the connections.
        cases: Vec<String>,
    },
    /// POST these bodies to `/v1/cases`, in turn.
    Create {
        /// JSON texts.
        bodies: Vec<String>,
    },
    /// GET these paths, in turn; each connection begins elsewhere.
    Get {
        /// Paths with their queries.
        paths: Vec<String>,
    },
}

impl Plan {
    /// Fails if the plan cannot be carried out.
    pub fn check(&self) -> anyhow::Result<()> {
        let enough = match &self.work {
            Work::Transition { cases } => cases.len() >= self.connections,
            Work::Create { bodies } => !bodies.is_empty(),
            Work::Get { paths } => !paths.is_empty(),
        };
        anyhow::ensure!(self.connections > 0, "connections must be at least 1");
        anyhow::ensure!(enough, "the plan needs a path or body, or at least one case for each connection");
        Ok(())
    }
}
