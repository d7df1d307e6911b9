//! The mixed load: clients that create, edit, note and move cases, each write under a key of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use docket_domain::case::transitions::TRANSITIONS;
use docket_domain::case::{Command, State};
use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::{Client, Request};
use super::commands::{new_case, transition};
use super::ledger::{Entry, Ledger};
use super::random::Random;
use super::stage::Tenant;

/// What the clients believe of a case.
#[derive(Debug, Clone)]
struct Known {
    version: u64,
    state: State,
}

/// The clients of one tenant share their cases, so that they meet.
type Cases = Arc<Mutex<HashMap<String, Known>>>;

/// Running clients.
pub struct Load {
    pub ledger: Arc<Ledger>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts `clients` clients, spread over the tenants.
    pub fn start(client: &Client, tenants: &[Tenant], clients: usize, random: &Random) -> Self {
        let load = Self { ledger: Arc::default(), stop: CancellationToken::new(), tasks: JoinSet::new() };
        let cases: Vec<Cases> = tenants.iter().map(|_| Cases::default()).collect();
        let mut load = load;
        for number in 0..clients {
            let worker = Worker {
                client: client.clone(),
                tenant: tenants[number % tenants.len()].clone(),
                cases: cases[number % tenants.len()].clone(),
                random: random.part(number as u64 + 1),
                ledger: load.ledger.clone(),
            };
            load.tasks.spawn(worker.run(load.stop.clone()));
        }
        load
    }

    /// Lets every client finish the operation under way; the ledger of them all.
    pub async fn finish(mut self) -> Arc<Ledger> {
        self.stop.cancel();
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
        self.ledger
    }
}

struct Worker {
    client: Client,
    tenant: Tenant,
    cases: Cases,
    random: Random,
    ledger: Arc<Ledger>,
}

impl Worker {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let known = self.some_case();
            match known {
                Some((id, known)) if self.random.below(10) >= 3 => self.change(&id, &known).await,
                _ => self.create().await,
            }
        }
    }

    fn some_case(&mut self) -> Option<(String, Known)> {
        let cases = self.cases.lock().unwrap();
        if cases.is_empty() {
            return None;
        }
        // A few cases are popular, so that writers collide.
        let index = if self.random.below(4) == 0 { 0 } else { self.random.below(cases.len()) };
        cases.iter().nth(index).map(|(id, known)| (id.clone(), known.clone()))
    }

    async fn create(&mut self) {
        let marker = self.random.key();
        let confidentiality = *self.random.pick(&["public", "internal", "restricted"]);
        let role = *self.random.pick(&[Role::Reporter, Role::Caseworker]);
        self.write(role, Method::POST, "/v1/cases".to_owned(), None, new_case(&marker, confidentiality), None).await;
    }

    async fn change(&mut self, id: &str, known: &Known) {
        let text = self.random.key();
        let tag = Some(format!("\"v{}\"", known.version));
        if self.random.below(5) == 0 {
            let (path, body) = (format!("/v1/cases/{id}"), json!({"narrative": format!("Edited: {text}")}));
            return self.write(Role::Supervisor, Method::PATCH, path, tag, body, None).await;
        }
        let rows: Vec<_> = TRANSITIONS
            .iter()
            .filter(|row| row.from == known.state && row.command != Command::AddEvidence)
            .filter(|row| row.command != Command::Withdraw || text.starts_with('0'))
            .collect();
        // Sometimes a command that the table does not have here: refusals are answers, too.
        let command = if rows.is_empty() || self.random.below(20) == 0 {
            *self.random.pick(&[Command::Close, Command::Submit, Command::ApproveDecision])
        } else {
            self.random.pick(&rows).command
        };
        let role = *self.random.pick(&[Role::Supervisor, Role::Supervisor, Role::Caseworker]);
        let target = self.cases.lock().unwrap().keys().find(|other| *other != id).cloned();
        let body = transition(command, &text, &self.tenant, target.as_deref(), &mut self.random);
        let adds_note = matches!(command, Command::AddNote | Command::RequestInformation | Command::ReceiveInformation);
        let path = format!("/v1/cases/{id}/transitions");
        self.write(role, Method::POST, path, tag, body, adds_note.then_some(text)).await;
    }

    async fn write(
        &mut self,
        role: Role,
        method: Method,
        path: String,
        if_match: Option<String>,
        body: serde_json::Value,
        note: Option<String>,
    ) {
        let (api_key, key) = (self.tenant.keys[&role].clone(), Some(self.random.key()));
        let request = Request { method, path, api_key, key, if_match, body: Some(body) };
        let Some(answer) = self.client.deliver(&request).await else { return };
        match answer.status {
            200 | 201 => self.learn(&answer.json()),
            409 | 412 | 422 => self.look_again(&request.path).await,
            // A caseworker may not see restricted cases, and may not do everything.
            403 | 404 => {}
            status => {
                self.client.findings.add(format!("{} {}: {status} {}", request.method, request.path, answer.text));
            }
        }
        let principal_id = self.tenant.principals[&role];
        self.ledger.add(Entry { principal_id, request, answer, note });
    }

    fn learn(&self, case: &serde_json::Value) {
        let (Some(id), Some(version)) = (case["id"].as_str(), case["version"].as_u64()) else { return };
        let Some(state) = case["state"].as_str().and_then(|state| state.parse().ok()) else { return };
        let mut cases = self.cases.lock().unwrap();
        if state == State::Withdrawn {
            cases.remove(id);
        } else if cases.get(id).is_none_or(|known| known.version < version) {
            cases.insert(id.to_owned(), Known { version, state });
        }
    }

    async fn look_again(&self, path: &str) {
        let path = path.trim_end_matches("/transitions").to_owned();
        let api_key = self.tenant.keys[&Role::Supervisor].clone();
        let request = Request { method: Method::GET, path, api_key, key: None, if_match: None, body: None };
        if let Some(answer) = self.client.deliver(&request).await {
            self.learn(&answer.json());
        }
    }
}
