//! The ground a battery stands on: a durable PostgreSQL of its own, migrated, with tenants and a key for each role.

use std::collections::BTreeMap;
use std::time::Duration;

use docket::adapters::postgres::embedded::{EmbeddedPostgres, EmbeddedSettings};
use docket::adapters::postgres::migrate;
use docket::adapters::system::secret_file::random_bytes;
use docket::application::tenancy::api_key;
use docket_domain::principal::{Role, Scope};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Executor, PgPool};
use tempfile::TempDir;
use uuid::Uuid;

/// The roles of a tenant.
pub const ROLES: [Role; 5] = [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin];

/// One tenant with a principal and a key for each role.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub keys: BTreeMap<Role, String>,
    pub principals: BTreeMap<Role, Uuid>,
}

/// The database server and what was sown into it.
pub struct Stage {
    pub server: EmbeddedPostgres,
    pub tenants: Vec<Tenant>,
    pub directory: TempDir,
}

impl Stage {
    /// Starts a server that syncs every commit, and sows tenants into its database `docket`.
    pub async fn start(tenants: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = EmbeddedSettings { durable: true, ..EmbeddedSettings::new(directory.path().join("postgres")) };
        let server = EmbeddedPostgres::start(&settings).await.unwrap_or_else(|error| panic!("{error}"));
        let mut stage = Self { server, tenants: Vec::new(), directory };
        let administration = pool(&stage.server.url("postgres", "postgres")).await;
        administration.execute("CREATE DATABASE docket").await.unwrap();
        administration.close().await;
        migrate(&stage.owner_url()).await.unwrap();
        let owner = stage.owner().await;
        for number in 0..tenants {
            stage.tenants.push(sow_tenant(&owner, &format!("tenant-{number}")).await);
        }
        owner.close().await;
        stage
    }

    /// Connects past row-level security: for the oracle, which believes nothing the service says.
    pub async fn owner(&self) -> PgPool {
        pool(&self.owner_url()).await
    }

    /// The URL that the service gets: it switches to its own role by itself.
    pub fn owner_url(&self) -> String {
        self.server.url("postgres", "docket")
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let Some(pid) = self.server.process_id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) else {
            return;
        };
        let _ = kill_process(pid, Signal::QUIT);
        for _ in 0..300 {
            if self.server.process_id().is_none() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

async fn pool(url: &str) -> PgPool {
    PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_mins(1)).connect(url).await.unwrap()
}

async fn sow_tenant(owner: &PgPool, name: &str) -> Tenant {
    let id = Uuid::now_v7();
    sqlx::query("INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, $2, $2, now())")
        .bind(id)
        .bind(name)
        .execute(owner)
        .await
        .unwrap();
    let mut tenant = Tenant { keys: BTreeMap::new(), principals: BTreeMap::new() };
    for role in ROLES {
        let (principal, key) = sow_key(owner, id, role).await;
        tenant.keys.insert(role, key);
        tenant.principals.insert(role, principal);
    }
    tenant
}

async fn sow_key(owner: &PgPool, tenant: Uuid, role: Role) -> (Uuid, String) {
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
         VALUES ($1, $2, $3, $4, $5, 'battery', $6, now())",
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
