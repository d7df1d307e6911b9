//! S3: twenty tenants share two connections. No answer holds another tenant's row, and no tenant stays on a connection.

use std::sync::Arc;
use std::time::Duration;

use docket::adapters::postgres::{self, pool::PoolSettings};
use docket::bootstrap;
use docket::config::{Sources, load};
use docket_domain::principal::Role;
use http::Method;
use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::client::{Client, Request};
use crate::support::commands::new_case;
use crate::support::random::Random;
use crate::support::report::{Findings, bounded, turn};
use crate::support::settings::{number, random, seed};
use crate::support::stage::{Stage, Tenant};

const TENANTS: usize = 20;
const CASES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_tenants_on_two_connections_see_only_their_own_rows() {
    let _turn = turn().await;
    let (requests, seed) = (number("DOCKET_CRASH_REQUESTS", 1_000), seed("S3"));
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(TENANTS).await;
    let settings = PoolSettings {
        url: stage.owner_url(),
        size: 2,
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(15),
    };
    let pool = postgres::connect(&settings).await.unwrap();
    let (url, shutdown) = serve(&stage, pool.clone()).await;
    let client = Client::new(&url, &findings);
    let cases = sow(&client, &stage).await;
    let together = Arc::new(Semaphore::new(40));
    let mut tasks = JoinSet::new();
    for _ in 0..requests {
        let own = random.below(TENANTS);
        let other = (own + 1 + random.below(TENANTS - 1)) % TENANTS;
        let probe = Probe {
            client: client.clone(),
            tenant: stage.tenants[own].clone(),
            mark: mark(own),
            own_case: random.pick(&cases[own]).clone(),
            foreign_case: random.pick(&cases[other]).clone(),
            random: random.part(own as u64),
            choice: random.below(4),
        };
        let together = together.clone();
        tasks.spawn(async move {
            let _place = together.acquire_owned().await.unwrap();
            probe.run().await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let tables = catalogue(&stage.owner().await, &findings).await;
    no_tenant_left(&pool, &findings).await;
    shutdown.cancel();
    println!(
        "S3 seed {seed}: {TENANTS} tenants on 2 connections; {}; {tables} tables with forced row-level security",
        bounded(findings.count(), "bleeds", usize::try_from(requests).unwrap())
    );
    findings.assert_none();
}

struct Probe {
    client: Client,
    tenant: Tenant,
    mark: String,
    own_case: String,
    foreign_case: String,
    random: Random,
    choice: usize,
}

impl Probe {
    async fn run(mut self) {
        let findings = self.client.findings.clone();
        let path = match self.choice {
            0 => format!("/v1/cases/{}", self.foreign_case),
            1 => format!("/v1/cases/{}", self.own_case),
            2 => "/v1/cases?count=true&limit=200".to_owned(),
            _ => format!("/v1/cases?q={}&count=true", self.random.pick(&["buoy", "pilots"])),
        };
        let api_key = self.tenant.keys[&Role::Supervisor].clone();
        let request =
            Request { method: Method::GET, path: path.clone(), api_key, key: None, if_match: None, body: None };
        let Some(answer) = self.client.deliver(&request).await else { return };
        let body = answer.json();
        let own = |case: &serde_json::Value| case["attributes"]["marker"] == self.mark.as_str();
        let right = match self.choice {
            0 => answer.status == 404,
            1 => answer.status == 200 && own(&body),
            _ => {
                let items = body["items"].as_array().cloned().unwrap_or_default();
                items.len() == CASES && items.iter().all(own) && body["count"] == CASES
            }
        };
        findings.expect(right, || format!("{} asked for {path} and got {} {}", self.mark, answer.status, answer.text));
    }
}

fn mark(tenant: usize) -> String {
    format!("mark-{tenant}-end")
}

async fn serve(stage: &Stage, pool: PgPool) -> (String, CancellationToken) {
    let mut config = load(&Sources::default()).unwrap().config;
    config.data_dir = stage.directory.path().join("service");
    config.audit.signing_key_file = config.data_dir.join("audit_signing.key");
    config.storage.url = format!("file:{}", config.data_dir.join("evidence").display());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    config.server.public_url.clone_from(&url);
    let shutdown = CancellationToken::new();
    tokio::spawn(bootstrap::run(config, bootstrap::Parts::from_pool(pool), listener, shutdown.clone()));
    (url, shutdown)
}

async fn sow(client: &Client, stage: &Stage) -> Vec<Vec<String>> {
    let mut cases = Vec::new();
    for (number, tenant) in stage.tenants.iter().enumerate() {
        let mut own = Vec::new();
        for case in 0..CASES {
            let request = Request {
                method: Method::POST,
                path: "/v1/cases".to_owned(),
                api_key: tenant.keys[&Role::Reporter].clone(),
                key: Some(format!("sow-{case}")),
                if_match: None,
                body: Some(new_case(&mark(number), "internal")),
            };
            let answer = client.deliver(&request).await.unwrap();
            own.push(answer.json()["id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned());
        }
        cases.push(own);
    }
    cases
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
