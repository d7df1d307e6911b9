//! R8: many clients throw commands at one case. Successes are versions, the trail replays on the transition table, and the
//! table explains every refusal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use docket_domain::audit::{AuditRecord, Outcome};
use docket_domain::case::transitions::{find, roles_allowing};
use docket_domain::case::{Command, State};
use docket_domain::principal::Role;
use http::Method;
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::client::{Client, Request};
use crate::support::commands::{new_case, transition};
use crate::support::invariants::audit_records;
use crate::support::random::Random;
use crate::support::report::{Figures, Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::settings::{may_begin, number, random, seed};
use crate::support::stage::{Stage, Tenant};

const CLIENTS: u64 = 64;
/// Steps of the short form.
const STEPS: u64 = 3_000;

/// Everything but withdrawing, which would end the battery, and evidence, which needs stored bytes.
const COMMANDS: &[Command] = &[
    Command::Submit,
    Command::StartReview,
    Command::RequestInformation,
    Command::ReceiveInformation,
    Command::Escalate,
    Command::DeEscalate,
    Command::ProposeDecision,
    Command::ApproveDecision,
    Command::ReturnForRework,
    Command::Close,
    Command::Reopen,
    Command::ExtendDeadline,
    Command::Assign,
    Command::AddNote,
    Command::Link,
];

/// What the clients share.
#[derive(Debug, Default)]
struct Score {
    version: AtomicU64,
    wanted: AtomicU64,
    begun: AtomicU64,
    successes: AtomicU64,
    stale: AtomicU64,
    refused: Mutex<Vec<Refused>>,
}

/// An answer that was neither a success nor 412.
#[derive(Debug)]
struct Refused {
    /// The version it was judged on.
    version: u64,
    command: Command,
    role: Role,
    status: u16,
}

impl Refused {
    /// Whether the table refuses this, too: no row is 409; another's row is 403; guards may say any of them.
    fn is_right(&self, state: State) -> bool {
        let nowhere = !roles_allowing(self.command).any(|role| role == self.role);
        match find(state, self.command) {
            _ if nowhere => self.status == 403,
            None => self.status == 409,
            Some(row) if !row.roles.has(self.role) => self.status == 403,
            Some(row) => !row.guards.is_empty() && matches!(self.status, 403 | 409 | 422),
        }
    }
}

impl Score {
    /// Counts one more step, unless there have been enough.
    fn begins_another(&self) -> bool {
        let wanted = self.wanted.load(Ordering::Relaxed);
        let next = |begun: u64| (begun < wanted && may_begin(begun, STEPS)).then_some(begun + 1);
        self.begun.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn successes_on_one_case_are_versions_and_every_step_is_in_the_table() {
    let _turn = turn().await;
    let (steps, seed) = (number("DOCKET_CRASH_STEPS", STEPS), seed("R8"));
    let random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let service = Service::start(&stage).await;
    let client = Client::new(&service.url, &findings);
    let tenant = &stage.tenants[0];
    let (case, target) = (create(&client, tenant, "one").await, create(&client, tenant, "target").await);
    let score = Arc::new(Score::default());
    score.version.store(1, Ordering::Relaxed);
    score.wanted.store(steps, Ordering::Relaxed);
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let clients = (client.clone(), tenant.clone(), case.clone(), target.clone());
        tasks.spawn(run(clients, score.clone(), random.part(number + 1)));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let owner = stage.owner().await;
    let id: Uuid = case.parse().unwrap();
    let version = version(&owner, id).await;
    let (steps, successes) = (score.begun.load(Ordering::Relaxed), score.successes.load(Ordering::Relaxed));
    findings.expect(version == successes + 1, || {
        format!("{successes} successes took the case from version 1 to {version}")
    });
    let records = audit_records(&owner, &findings).await;
    let (states, illegal) = replay_on_table(&findings, records.iter().filter(|record| record.chain_id == id));
    let refused = score.refused.lock().unwrap();
    for refusal in refused.iter() {
        let found = usize::try_from(refusal.version).ok().and_then(|version| states.get(version - 1));
        findings
            .expect(found.is_some_and(|state| refusal.is_right(*state)), || format!("wrong in {found:?}: {refusal:?}"));
    }
    println!(
        "R8 seed {seed}: {CLIENTS} clients, {steps} steps on one case; version {version} after {successes} successes, {} stale, {} \
         refused; {}",
        score.stale.load(Ordering::Relaxed),
        refused.len(),
        bounded(illegal, "illegal transitions", usize::try_from(successes).unwrap()),
    );
    let lost = (successes + 1).saturating_sub(version);
    let doubled = version.saturating_sub(successes + 1);
    Figures { writes: successes, lost, doubled, ..Figures::default() }.note("R8");
    findings.expect(successes > 20, || format!("only {successes} of {steps} steps succeeded"));
    findings.assert_none();
}

async fn run(clients: (Client, Tenant, String, String), score: Arc<Score>, mut random: Random) {
    let (client, tenant, case, target) = clients;
    while score.begins_another() {
        // Half of the steps are notes, which most states take; the other half is anything.
        let command = *random.pick(&[Command::AddNote, *random.clone().pick(COMMANDS)]);
        let role = *random.pick(&[Role::Supervisor, Role::Supervisor, Role::Caseworker, Role::Reporter]);
        let version = score.version.load(Ordering::Relaxed);
        let text = random.key();
        let request = Request {
            method: Method::POST,
            path: format!("/v1/cases/{case}/transitions"),
            api_key: tenant.keys[&role].clone(),
            key: Some(random.key()),
            if_match: Some(format!("\"v{version}\"")),
            body: Some(transition(command, &text, &tenant, Some(&target), &mut random)),
        };
        let Some(answer) = client.deliver(&request).await else { return };
        let body = answer.json();
        let seen = body["version"].as_u64().or_else(|| body["current_version"].as_u64());
        match answer.status {
            200 => {
                client.findings.expect(seen == Some(version + 1), || {
                    format!("{command} on version {version} was answered with version {seen:?}")
                });
                score.successes.fetch_add(1, Ordering::Relaxed);
            }
            412 => drop(score.stale.fetch_add(1, Ordering::Relaxed)),
            status @ (403 | 409 | 422) => {
                score.refused.lock().unwrap().push(Refused { version, command, role, status });
            }
            status => return client.findings.add(format!("{command} was answered {status} {}", answer.text)),
        }
        if let Some(seen) = seen {
            score.version.fetch_max(seen, Ordering::Relaxed);
        }
    }
}

/// Walks the allowed changes of the trail along the transition table: the state of each version, and how many steps the
/// table does not have.
fn replay_on_table<'a>(findings: &Findings, records: impl Iterator<Item = &'a AuditRecord>) -> (Vec<State>, usize) {
    let (mut state, mut illegal) = (State::Draft, 0);
    let mut states = vec![state];
    for record in records.filter(|record| record.outcome == Outcome::Allowed && record.after.is_some()) {
        if record.action == "case.create" {
            continue;
        }
        let command = record.action.trim_start_matches("case.").parse::<Command>();
        let row = command.ok().and_then(|command| find(state, command));
        let legal = row.is_some_and(|row| {
            record.states.from == Some(state)
                && record.states.to == Some(row.to)
                && record.actor_roles.intersects(row.roles)
        });
        if !legal {
            illegal += 1;
            findings.add(format!("record {}: {} from {state} to {:?}", record.seq, record.action, record.states.to));
        }
        state = record.states.to.unwrap_or(state);
        states.push(state);
    }
    (states, illegal)
}

async fn create(client: &Client, tenant: &Tenant, marker: &str) -> String {
    client.create(&tenant.keys[&Role::Reporter], &format!("create-{marker}"), new_case(marker, "internal")).await
}

async fn version(owner: &PgPool, id: Uuid) -> u64 {
    let version: i64 =
        sqlx::query_scalar("SELECT version FROM docket.cases WHERE id = $1").bind(id).fetch_one(owner).await.unwrap();
    version.try_into().unwrap()
}
