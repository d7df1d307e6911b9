//! A workbench: a database, a queue on it, and short ways to say what a test means.

use std::time::Duration;

use docket::adapters::postgres::pool::PoolSettings;
use docket::adapters::postgres::{self, PgJobQueue, PgJobStore};
use docket::application::ports::job_queue::{ClaimSlot, ClaimedJob, JobQueue};
use docket::application::ports::job_store::{JobStore, NewJob};
use docket_domain::ids::{JobId, PrincipalId, TenantId, WorkerId};
use docket_domain::job::low_water::BEGINNING;
use docket_domain::job::{JobKind, JobState, LeaseTerms, Priority};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::database::TestDatabase;

/// Long enough for any test.
pub const LEASE: LeaseTerms = LeaseTerms { length: Duration::from_secs(30) };

pub struct Bench {
    pub pool: PgPool,
    pub queue: PgJobQueue,
    pub store: PgJobStore,
    pub tenant: TenantId,
    pub database: TestDatabase,
}

impl Bench {
    pub async fn new() -> Self {
        let database = TestDatabase::new().await;
        let settings = PoolSettings {
            url: database.app_url(),
            size: 12,
            acquire_timeout: Duration::from_secs(10),
            statement_timeout: Duration::from_secs(30),
        };
        let pool = postgres::connect(&settings).await.unwrap();
        let (queue, store) = (PgJobQueue::new(pool.clone()), PgJobStore::new(pool.clone()));
        let tenant = TenantId(Uuid::now_v7());
        let bench = Self { pool, queue, store, tenant, database };
        bench.tenant_named(tenant, "alpha").await;
        bench
    }

    /// A tenant's row.
    pub async fn tenant_named(&self, tenant: TenantId, name: &str) {
        let owner = self.owner().await;
        sqlx::query("INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, $2, $2, now())")
            .bind(tenant.0)
            .bind(name)
            .execute(&owner)
            .await
            .unwrap();
        owner.close().await;
    }

    /// Past row-level security.
    pub async fn owner(&self) -> PgPool {
        PgPool::connect(&self.database.superuser_url()).await.unwrap()
    }

    pub fn job(&self, kind: &str) -> NewJob {
        NewJob {
            id: JobId(Uuid::now_v7()),
            tenant_id: self.tenant,
            kind: kind.parse::<JobKind>().unwrap(),
            payload: json!({}),
            priority: Priority::Normal,
            run_at: None,
            unique_key: None,
            requested_by: PrincipalId::SYSTEM,
            traceparent: None,
        }
    }

    /// Enqueues, and says under which id.
    pub async fn enqueue(&self, job: NewJob) -> JobId {
        let ids = self.store.enqueue(self.tenant, std::slice::from_ref(&job)).await.unwrap();
        assert_eq!(ids, [job.id]);
        job.id
    }

    pub async fn worker(&self) -> WorkerId {
        let worker = WorkerId(Uuid::now_v7());
        self.queue.register(worker, "test", LEASE).await.unwrap();
        worker
    }

    pub async fn claim(&self, worker: WorkerId, kind: &'static str, wanted: u32) -> Vec<ClaimedJob> {
        self.queue.claim(worker, &[slot(kind, wanted)]).await.unwrap()
    }

    pub async fn state(&self, id: JobId) -> Option<JobState> {
        self.store.get(self.tenant, id).await.unwrap().map(|job| job.state)
    }

    /// Lets a worker's lease end now.
    pub async fn silence(&self, worker: WorkerId) {
        let owner = self.owner().await;
        sqlx::query("UPDATE docket.job_workers SET expires_at = clock_timestamp() - interval '1 ms' WHERE id = $1")
            .bind(worker.0)
            .execute(&owner)
            .await
            .unwrap();
        owner.close().await;
    }
}

pub fn slot(kind: &'static str, wanted: u32) -> ClaimSlot {
    ClaimSlot { kind, wanted, from: [BEGINNING; 5] }
}
