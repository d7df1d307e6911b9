//! A running service for a test: the production router on a free port, a database of its own, two tenants, a key for each role.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use docket::adapters::http_client::guarded_resolver::Lookup;
use docket::adapters::postgres::{self, pool::PoolSettings};
use docket::adapters::system::secret_file::random_bytes;
use docket::application::ports::Clock;
use docket::application::tenancy::api_key;
use docket::bootstrap;
use docket::config::{Config, ProcessRole, Sources, load};
use docket_domain::principal::{Role, Scope};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::contract;
use crate::database_support::database::TestDatabase;

/// One tenant of a test, with a principal and a key for each role.
pub struct Tenant {
    pub keys: BTreeMap<Role, String>,
    pub principals: BTreeMap<Role, Uuid>,
}

/// The service under test.
pub struct TestApp {
    pub url: String,
    pub client: reqwest::Client,
    pub tenants: [Tenant; 2],
    pub operator_key: String,
    /// Connections as the service's own role.
    pub pool: PgPool,
    pub database: TestDatabase,
    /// Where the service keeps the bytes of evidence.
    pub evidence_directory: std::path::PathBuf,
    /// What the service is made of.
    pub parts: bootstrap::Parts,
    pub config: Config,
    shutdown: CancellationToken,
}

impl TestApp {
    /// Starts with the default configuration.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with a changed configuration.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_by(None, None, change).await
    }

    /// Starts under a clock of the test's own.
    pub async fn start_at(clock: Arc<dyn Clock>) -> Self {
        Self::start_by(Some(clock), None, |_| {}).await
    }

    /// Starts with names of webhook endpoints looked up by the test.
    pub async fn start_looking_up(lookup: Lookup, change: impl FnOnce(&mut Config)) -> Self {
        Self::start_by(None, Some(lookup), change).await
    }

    async fn start_by(clock: Option<Arc<dyn Clock>>, lookup: Option<Lookup>, change: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::new().await;
        let pool = postgres::connect(&PoolSettings {
            url: database.app_url(),
            size: 8,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
        })
        .await
        .unwrap();
        let owner = PgPool::connect(&database.superuser_url()).await.unwrap();
        let tenants = [seed_tenant(&owner, "alpha").await, seed_tenant(&owner, "beta").await];
        let operator_key = seed_operator(&owner).await;
        owner.close().await;
        let mut config = load(&Sources::default()).unwrap().config;
        let directory = std::env::temp_dir().join(format!("docket-test-{}", Uuid::now_v7()));
        config.data_dir = directory.clone();
        // Most tests look at one request; those of background work ask for it.
        config.server.role = ProcessRole::Api;
        // The model is loaded by the tests that need it.
        config.embedding.warm_up = false;
        config.storage.url = format!("file:{}", directory.join("evidence").display());
        config.audit.signing_key_file = directory.join("audit_signing.key");
        change(&mut config);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        config.server.public_url.clone_from(&url);
        let shutdown = CancellationToken::new();
        let mut parts = bootstrap::Parts::from_pool(pool.clone());
        parts.clock = clock.unwrap_or(parts.clock);
        parts.lookup = lookup.unwrap_or(parts.lookup);
        tokio::spawn(bootstrap::run(config.clone(), parts.clone(), listener, shutdown.clone()));
        let client = reqwest::Client::builder().tcp_nodelay(true).build().unwrap();
        Self {
            url,
            client,
            tenants,
            operator_key,
            pool,
            database,
            evidence_directory: directory.join("evidence"),
            parts,
            config,
            shutdown,
        }
    }

    /// Another process on the same database, with the same keys; where it answers.
    pub async fn beside(&self, change: impl FnOnce(&mut Config)) -> String {
        self.beside_at(None, change).await
    }

    /// The same, under a clock of its own.
    pub async fn beside_at(&self, clock: Option<Arc<dyn Clock>>, change: impl FnOnce(&mut Config)) -> String {
        let mut config = self.config.clone();
        change(&mut config);
        let settings = PoolSettings {
            url: self.database.app_url(),
            size: 6,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
        };
        let mut parts = bootstrap::Parts::from_pool(postgres::connect(&settings).await.unwrap());
        parts.clock = clock.unwrap_or(parts.clock);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        config.server.public_url.clone_from(&url);
        tokio::spawn(bootstrap::run(config, parts, listener, self.shutdown.clone()));
        url
    }

    /// The first tenant's key for a role.
    pub fn key(&self, role: Role) -> &str {
        &self.tenants[0].keys[&role]
    }

    /// The first tenant's principal for a role.
    pub fn principal(&self, role: Role) -> Uuid {
        self.tenants[0].principals[&role]
    }

    /// A request with a key.
    pub fn request(&self, method: http::Method, path: &str, key: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url)).bearer_auth(key)
    }

    /// A GET as a role of the first tenant.
    pub async fn get(&self, path: &str, role: Role) -> Answer {
        Answer::of(self.request(http::Method::GET, path, self.key(role))).await
    }

    /// A POST with a fresh idempotency key.
    pub async fn post(&self, path: &str, role: Role, body: &Value) -> Answer {
        let request = self.request(http::Method::POST, path, self.key(role));
        Answer::of(request.header("idempotency-key", Uuid::new_v4().to_string()).json(body)).await
    }

    /// A complete draft, reported by the reporter.
    pub async fn draft(&self) -> Value {
        let answer = self.post("/v1/cases", Role::Reporter, &complete_case()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// Carries out a command with the right version and a fresh key.
    pub async fn command(&self, id: &str, role: Role, body: &Value) -> Answer {
        let version = self.get(&format!("/v1/cases/{id}"), Role::Supervisor).await.json()["version"].clone();
        self.command_at(id, role, body, &format!("\"v{version}\"")).await
    }

    /// Carries out a command with the given If-Match and a fresh key.
    pub async fn command_at(&self, id: &str, role: Role, body: &Value, etag: &str) -> Answer {
        let request = self.request(http::Method::POST, &format!("/v1/cases/{id}/transitions"), self.key(role));
        let request = request.header("idempotency-key", Uuid::new_v4().to_string()).header("if-match", etag);
        Answer::of(request.json(body)).await
    }

    /// Connects past row-level security, to look at or tamper with what is stored.
    pub async fn superuser(&self) -> PgPool {
        PgPool::connect(&self.database.superuser_url()).await.unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// An answer, read completely.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub text: String,
}

impl Answer {
    /// Sends a request and reads its answer, which must be one that the OpenAPI document describes.
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = client.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Self { status, headers, text: response.text().await.unwrap() };
        if let Some(breach) = contract::breach(&method, &path, status, answer.header("content-type")) {
            panic!("{breach}: {}", answer.text);
        }
        answer
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text))
    }

    /// A header as text, empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Asserts a problem of this status and slug.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert!(body["type"].as_str().unwrap().ends_with(&format!("/problems/{slug}")), "{body}");
        assert_eq!(body["status"], status);
        body
    }
}

/// A case that can be submitted as it is.
pub fn complete_case() -> Value {
    json!({
        "title": "Unlit buoy at the harbour entrance",
        "narrative": "The buoy was dark for three nights; two vessels reported near misses.",
        "respondent": "Northgate Pilots",
        "case_type": "navigation-aid",
        "severity": "high",
        "confidentiality": "internal",
        "attributes": {"berth": 7}
    })
}

const ROLES: [Role; 5] = [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin];

async fn seed_tenant(owner: &PgPool, name: &str) -> Tenant {
    let id = Uuid::now_v7();
    insert_tenant(owner, id, name).await;
    let mut tenant = Tenant { keys: BTreeMap::new(), principals: BTreeMap::new() };
    for role in ROLES {
        let (principal, key) = seed_key(owner, id, role).await;
        tenant.keys.insert(role, key);
        tenant.principals.insert(role, principal);
    }
    tenant
}

async fn seed_operator(owner: &PgPool) -> String {
    insert_tenant(owner, Uuid::nil(), "platform").await;
    seed_key(owner, Uuid::nil(), Role::Operator).await.1
}

async fn insert_tenant(owner: &PgPool, id: Uuid, name: &str) {
    sqlx::query(
        "INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, $2, $2, now()) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(name)
    .execute(owner)
    .await
    .unwrap();
}

/// A principal with one role, and a key with every scope.
pub async fn seed_key(owner: &PgPool, tenant: Uuid, role: Role) -> (Uuid, String) {
    let principal = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO docket.principals (tenant_id, id, kind, display_name, roles, created_at)
         VALUES ($1, $2, 'user', $3, ARRAY[$3], now())",
    )
    .bind(tenant)
    .bind(principal)
    .bind(role.as_str())
    .execute(owner)
    .await
    .unwrap();
    let key = api_key::from_random(&random_bytes());
    let scopes: Vec<String> = Scope::ALL.iter().map(|scope| scope.as_str().to_owned()).collect();
    sqlx::query(
        "INSERT INTO docket.api_keys (tenant_id, id, principal_id, prefix, secret_hash, label, scopes, created_at)
         VALUES ($1, $2, $3, $4, $5, 'test', $6, now())",
    )
    .bind(tenant)
    .bind(Uuid::now_v7())
    .bind(principal)
    .bind(&key.prefix)
    .bind(&key.secret_hash[..])
    .bind(scopes)
    .execute(owner)
    .await
    .unwrap();
    (principal, key.text)
}
