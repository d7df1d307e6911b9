//! S3: twenty tenants share two connections, reading, writing and searching. No answer holds another tenant's row, every write
//! lands in the tenant that made it, and no tenant stays on a connection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docket::adapters::postgres::{self, pool::PoolSettings};
use docket::bootstrap;
use docket::config::{Sources, load};
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sown_document::SownDocument;
use crate::support::client::{Answer, Client, Request};
use crate::support::commands::new_case;
use crate::support::invariants::audit_records;
use crate::support::random::Random;
use crate::support::report::{Findings, bounded, turn};
use crate::support::settings::{number, random, seed};
use crate::support::stage::{Stage, Tenant};

const TENANTS: usize = 20;
const CASES: usize = 3;
/// More cases than fit on a page are not created: a list must show all of them.
const CASES_MAX: usize = 150;
/// How long the index of words may need to follow the documents.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_tenants_on_two_connections_see_and_change_only_their_own_rows() {
    let _turn = turn().await;
    let (requests, seed) = (number("DOCKET_CRASH_REQUESTS", 1_000), seed("S3"));
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(TENANTS).await;
    let owner = stage.owner().await;
    let settings = PoolSettings {
        url: stage.owner_url(),
        size: 2,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(15),
    };
    let pool = postgres::connect(&settings).await.unwrap();
    let (url, shutdown) = serve(&stage, pool.clone()).await;
    let client = Client::new(&url, &findings);
    let mut houses = Vec::new();
    for (number, tenant) in stage.tenants.iter().enumerate() {
        houses.push(House::build(&client, tenant, number, random.part(number as u64), &owner).await);
    }
    let foreign: Vec<String> = houses.iter().map(|house| house.cases.keys().next().unwrap().clone()).collect();
    let houses: Vec<_> = houses.into_iter().map(|house| Arc::new(Mutex::new(house))).collect();
    let mut tasks = JoinSet::new();
    for _ in 0..requests {
        let own = random.below(TENANTS);
        let other = foreign[(own + 1 + random.below(TENANTS - 1)) % TENANTS].clone();
        let house = houses[own].clone();
        // A tenant's requests come one after the other, so that its ledger is exact; those of the twenty interleave.
        tasks.spawn(async move { house.lock().await.ask(&other).await });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let (mut writes, mut bleeding) = (0, 0);
    for house in houses {
        let house = house.lock().await;
        writes += house.writes;
        bleeding += usize::from(!house.is_as_told(&owner).await);
    }
    audit_records(&owner, &findings).await;
    let strangers = strangers(&owner).await;
    findings.expect(strangers == 0, || format!("{strangers} audit records name a principal of another tenant"));
    let tables = catalogue(&owner, &findings).await;
    no_tenant_left(&pool, &findings).await;
    shutdown.cancel();
    println!(
        "S3 seed {seed}: {TENANTS} tenants on 2 connections, {writes} writes among the requests; {}; {bleeding} tenants hold \
         something else than their ledger; {tables} tables with forced row-level security",
        bounded(findings.count(), "bleeds", usize::try_from(requests).unwrap())
    );
    findings.assert_none();
}

/// What a tenant was told of one of its cases.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    version: i64,
    state: String,
    narrative: String,
    notes: Vec<String>,
}

/// One tenant with its ledger.
struct House {
    client: Client,
    tenant: Tenant,
    mark: String,
    random: Random,
    cases: BTreeMap<String, Told>,
    writes: usize,
}

impl House {
    async fn build(client: &Client, tenant: &Tenant, number: usize, random: Random, owner: &PgPool) -> Self {
        let (mark, tenant) = (format!("mark-{number}-end"), tenant.clone());
        let mut house = Self { client: client.clone(), tenant, mark, random, cases: BTreeMap::new(), writes: 0 };
        for _ in 0..CASES {
            house.create().await;
        }
        let (admin, text) =
            (house.tenant.principals[&Role::Admin], format!("The harbour master keeps {}.", house.mark));
        let sown = SownDocument { admin, collection: "rules", title: "Lights", text: &text, confidentiality: "public" };
        sown.sow(owner).await;
        let waiting = Instant::now();
        while house.found().await.as_array().is_none_or(Vec::is_empty) {
            assert!(waiting.elapsed() < PATIENCE, "the index of words does not follow");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        house
    }

    /// One request of any kind; `other` is a case of another tenant.
    async fn ask(&mut self, other: &str) {
        match self.random.below(10) {
            0 => self.may_not_know(Method::GET, format!("/v1/cases/{other}"), None).await,
            1 => self.may_not_know(Method::PATCH, format!("/v1/cases/{other}"), Some(self.narrative())).await,
            2 => {
                let command = json!({"command": "add_note", "body": self.mark});
                self.may_not_know(Method::POST, format!("/v1/cases/{other}/transitions"), Some(command)).await;
            }
            3 => self.reads().await,
            4 => self.lists().await,
            5 => {
                let hits = self.found().await;
                let own = |hit: &Value| hit["text"].as_str().is_some_and(|text| text.contains(&self.mark));
                let hits = hits.as_array().cloned().unwrap_or_default();
                let right = hits.len() == 1 && hits.iter().all(own);
                self.client.findings.expect(right, || format!("{} searched and found {hits:?}", self.mark));
            }
            6 if self.cases.len() < CASES_MAX => self.create().await,
            7 => self.notes().await,
            8 => self.submits().await,
            _ => self.patches().await,
        }
    }

    fn narrative(&self) -> Value {
        json!({"narrative": format!("Changed by {}", self.mark)})
    }

    async fn send(&mut self, method: Method, path: String, tag: Option<i64>, body: Option<Value>) -> Answer {
        let api_key = self.tenant.keys[&Role::Supervisor].clone();
        let (key, if_match) = (Some(self.random.key()), tag.map(|version| format!("\"v{version}\"")));
        self.client.deliver(&Request { method, path, api_key, key, if_match, body }).await.unwrap()
    }

    /// A case of another tenant is no case.
    async fn may_not_know(&mut self, method: Method, path: String, body: Option<Value>) {
        let answer = self.send(method.clone(), path.clone(), Some(1), body).await;
        self.client.findings.expect(answer.status == 404, || {
            format!("{}: {method} {path} of another was answered {} {}", self.mark, answer.status, answer.text)
        });
    }

    /// What an answer must say of a case, and that it says nothing else.
    fn holds(&self, body: &Value, id: &str, told: &Told) -> bool {
        body["id"] == id
            && body["attributes"]["marker"] == self.mark.as_str()
            && body["version"] == told.version
            && body["state"] == told.state.as_str()
            && body["narrative"] == told.narrative.as_str()
    }

    fn some_case(&mut self) -> (String, Told) {
        let cases: Vec<_> = self.cases.iter().collect();
        let (id, told) = self.random.pick(&cases);
        ((*id).clone(), (*told).clone())
    }

    async fn reads(&mut self) {
        let (id, told) = self.some_case();
        let answer = self.send(Method::GET, format!("/v1/cases/{id}"), None, None).await;
        let right = answer.status == 200 && self.holds(&answer.json(), &id, &told);
        self.client.findings.expect(right, || format!("{} of {told:?} read {answer:?}", self.mark));
        let answer = self.send(Method::GET, format!("/v1/cases/{id}/notes?limit=200"), None, None).await;
        let body = answer.json();
        let notes: Vec<_> = body["items"].as_array().into_iter().flatten().map(|note| note["body"].clone()).collect();
        self.client.findings.expect(json!(notes) == json!(told.notes), || {
            format!("{} wrote {:?} and read {answer:?}", self.mark, told.notes)
        });
    }

    async fn lists(&mut self) {
        let filter = *self.random.pick(&["", "&q=buoy", "&q=pilots"]);
        let path = format!("/v1/cases?count=true&limit=200{filter}");
        let body = self.send(Method::GET, path, None, None).await.json();
        let items = body["items"].as_array().cloned().unwrap_or_default();
        let known = |item: &Value| {
            let id = item["id"].as_str().unwrap_or_default();
            self.cases.get(id).is_some_and(|told| self.holds(item, id, told))
        };
        let right = items.len() == self.cases.len() && items.iter().all(known) && body["count"] == self.cases.len();
        self.client.findings.expect(right, || format!("{} lists {filter:?} {body}", self.mark));
    }

    /// What a search finds: there is one document.
    async fn found(&mut self) -> Value {
        let body = json!({"query": "harbour master"});
        self.send(Method::POST, "/v1/search".to_owned(), None, Some(body)).await.json()["hits"].take()
    }

    async fn create(&mut self) {
        let body = new_case(&self.mark, "internal");
        let narrative = body["narrative"].as_str().unwrap().to_owned();
        let answer = self.send(Method::POST, "/v1/cases".to_owned(), None, Some(body)).await;
        let case = answer.json();
        let id = case["id"].as_str().unwrap_or_default().to_owned();
        let told = Told { version: 1, state: "draft".to_owned(), narrative, notes: Vec::new() };
        let right = answer.status == 201 && self.holds(&case, &id, &told);
        self.client.findings.expect(right, || format!("{} created {answer:?}", self.mark));
        self.cases.insert(id, told);
        self.writes += 1;
    }

    /// A change that must succeed and show in its answer.
    async fn change(&mut self, request: (Method, String, Value), status: u16, id: String, mut told: Told) {
        let (method, path, body) = request;
        let answer = self.send(method, path, Some(told.version), Some(body)).await;
        told.version += 1;
        let right = answer.status == status && self.holds(&answer.json(), &id, &told);
        self.client.findings.expect(right, || format!("{} wanted {told:?} and got {answer:?}", self.mark));
        self.cases.insert(id, told);
        self.writes += 1;
    }

    async fn patches(&mut self) {
        let (id, mut told) = self.some_case();
        told.narrative = format!("The buoy of {} is lit: {}", self.mark, self.random.key());
        let body = json!({"narrative": told.narrative});
        self.change((Method::PATCH, format!("/v1/cases/{id}"), body), 200, id, told).await;
    }

    async fn notes(&mut self) {
        let (id, mut told) = self.some_case();
        let note = format!("{} notes {}", self.mark, self.random.key());
        told.notes.push(note.clone());
        self.change((Method::POST, format!("/v1/cases/{id}/notes"), json!({"body": note})), 201, id, told).await;
    }

    /// Submits a draft; there may be none, then a note is as good.
    async fn submits(&mut self) {
        let draft = self.cases.iter().find(|(_, told)| told.state == "draft");
        let Some((id, mut told)) = draft.map(|(id, told)| (id.clone(), told.clone())) else {
            return self.notes().await;
        };
        "submitted".clone_into(&mut told.state);
        let body = json!({"command": "submit"});
        self.change((Method::POST, format!("/v1/cases/{id}/transitions"), body), 200, id, told).await;
    }

    /// Whether the database holds of this tenant what it was told, and nothing else.
    async fn is_as_told(&self, owner: &PgPool) -> bool {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT c.id, c.version, c.state, c.narrative, c.attributes ->> 'marker',
                    (SELECT coalesce(array_agg(n.body ORDER BY n.id), '{}') FROM docket.case_notes n
                     WHERE n.tenant_id = c.tenant_id AND n.case_id = c.id),
                    (SELECT count(*) FROM docket.outbox_events o WHERE o.tenant_id = c.tenant_id AND o.case_id = c.id)
             FROM docket.cases c JOIN docket.principals p ON p.tenant_id = c.tenant_id WHERE p.id = $1",
        )
        .bind(self.tenant.principals[&Role::Supervisor])
        .fetch_all(owner)
        .await
        .unwrap();
        let (mut stored, mut right) = (BTreeMap::new(), true);
        for (id, version, state, narrative, marker, notes, events) in rows {
            right &= marker.as_deref() == Some(self.mark.as_str()) && events == version;
            stored.insert(id.to_string(), Told { version, state, narrative, notes });
        }
        right &= stored == self.cases;
        self.client.findings.expect(right, || format!("{} was told {:?}, stored is {stored:?}", self.mark, self.cases));
        right
    }
}

/// A stored case: id, version, state, narrative, marker, notes and how many events it has.
type Row = (Uuid, i64, String, String, Option<String>, Vec<String>, i64);

/// Audit records whose actor is neither docket itself nor a principal of the tenant whose chain they are on.
async fn strangers(owner: &PgPool) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM docket.audit_events a WHERE NOT EXISTS
             (SELECT FROM docket.principals p WHERE p.tenant_id = a.tenant_id AND p.id::text = a.record ->> 'actor_id')
           AND a.record ->> 'actor_id' <> '00000000-0000-0000-0000-000000000000'",
    )
    .fetch_one(owner)
    .await
    .unwrap()
}

async fn serve(stage: &Stage, pool: PgPool) -> (String, CancellationToken) {
    let mut config = load(&Sources::default()).unwrap().config;
    config.data_dir = stage.directory.path().join("service");
    config.audit.signing_key_file = config.data_dir.join("audit_signing.key");
    // By words alone: the documents have no vectors.
    config.embedding.model_dir = Some("/there/is/no/model".into());
    config.storage.url = format!("file:{}", config.data_dir.join("evidence").display());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    config.server.public_url.clone_from(&url);
    let shutdown = CancellationToken::new();
    tokio::spawn(bootstrap::run(config, bootstrap::Parts::from_pool(pool), listener, shutdown.clone()));
    (url, shutdown)
}

/// The catalogue says of every table: row-level security enabled, forced, and a check on what is written.
async fn catalogue(owner: &PgPool, findings: &Findings) -> usize {
    let tables: Vec<(String, bool, bool)> = sqlx::query_as(
        "SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity,
                EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polwithcheck IS NOT NULL)
         FROM pg_class c WHERE c.relnamespace = 'docket'::regnamespace AND c.relkind IN ('r', 'p')",
    )
    .fetch_all(owner)
    .await
    .unwrap();
    for (name, forced, checked) in &tables {
        findings.expect(*forced && *checked, || format!("table {name} has no forced row-level security with a check"));
    }
    tables.len()
}

/// Between transactions a connection belongs to no tenant and sees nothing.
async fn no_tenant_left(pool: &PgPool, findings: &Findings) {
    let mut connections = Vec::new();
    for _ in 0..2 {
        connections.push(pool.acquire().await.unwrap());
    }
    for connection in &mut connections {
        let (tenant, visible): (String, i64) = sqlx::query_as(
            "SELECT coalesce(current_setting('docket.tenant', true), ''), (SELECT count(*) FROM docket.cases)",
        )
        .fetch_one(&mut **connection)
        .await
        .unwrap();
        findings.expect(tenant.is_empty() && visible == 0, || {
            format!("a connection at rest belongs to tenant \"{tenant}\" and sees {visible} cases")
        });
    }
}
