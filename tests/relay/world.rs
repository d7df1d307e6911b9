//! What the relay's tests stand on: a database with tenants, events put straight into the outbox, sinks that keep a log.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docket::adapters::http_client::{GuardedResolver, HttpWebhookSender, SenderSettings};
use docket::adapters::postgres::{self, PgRelayStore, pool::PoolSettings};
use docket::adapters::system::{AesSealer, SystemClock};
use docket::application::events::relay::{Relay, RelaySettings};
use docket::application::events::wakeups::Wakeups;
use docket::application::ports::event_feed::StoredEvent;
use docket::application::ports::event_sink::SinkError;
use docket::application::ports::{EventSink, StoreError};
use docket::application::webhooks::message::bound_to;
use docket::application::webhooks::send::Sending;
use docket_domain::ids::{DestinationId, EndpointId, TenantId};
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::database_support::database::TestDatabase;

/// Short enough for tests, long enough for a send.
pub const LEASE: Duration = Duration::from_secs(3);

/// How fast a relay is.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub poll: Duration,
    pub lease: Duration,
    /// For the answer of an endpoint.
    pub timeout: Duration,
    /// For what is on its way when it is told to stop.
    pub finish_within: Duration,
    /// Sends at once.
    pub concurrency: u32,
}

impl Default for Pace {
    fn default() -> Self {
        let (poll, timeout, finish_within) =
            (Duration::from_millis(50), Duration::from_secs(1), Duration::from_secs(6));
        Self { poll, lease: LEASE, timeout, finish_within, concurrency: 32 }
    }
}

impl Pace {
    /// A receiver may hang for as long as it likes, and what it holds is let go of as soon as the relay is told to stop.
    pub const PATIENT: Self = Self {
        poll: Duration::from_millis(50),
        lease: Duration::from_hours(2),
        timeout: Duration::from_hours(1),
        finish_within: Duration::from_millis(100),
        concurrency: 32,
    };
}

pub struct World {
    pub pool: PgPool,
    pub owner: PgPool,
    pub tenant: TenantId,
    pub wakeups: Wakeups,
    _database: TestDatabase,
}

impl World {
    pub async fn new() -> Self {
        let database = TestDatabase::new().await;
        let pool = pool(&database).await;
        let owner = PgPool::connect(&database.superuser_url()).await.unwrap();
        let tenant = TenantId(Uuid::now_v7());
        sqlx::query(
            "INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, 'alpha', 'alpha', now())",
        )
        .bind(tenant.0)
        .execute(&owner)
        .await
        .unwrap();
        Self { pool, owner, tenant, wakeups: Wakeups::default(), _database: database }
    }

    /// What sends, and gives a receiver so long for its answer.
    pub fn sending(timeout: Duration) -> Sending {
        let sender = HttpWebhookSender::new(SenderSettings {
            connect_timeout: Duration::from_millis(500),
            timeout,
            allow_http: true,
            allowed: Arc::new(|address| address.is_loopback()),
            lookup: GuardedResolver::system_lookup(),
        });
        Sending {
            sender: Arc::new(sender.unwrap()),
            sealer: Arc::new(AesSealer::new(&[7; 32]).unwrap()),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// A relay over these sinks that only polls.
    pub fn relay(&self, sinks: Vec<Arc<dyn EventSink>>) -> Relay {
        self.relay_with(sinks, Duration::from_millis(50))
    }

    pub fn relay_with(&self, sinks: Vec<Arc<dyn EventSink>>, poll: Duration) -> Relay {
        self.relay_at(&Pace { poll, ..Pace::default() }, sinks)
    }

    pub fn relay_at(&self, pace: &Pace, sinks: Vec<Arc<dyn EventSink>>) -> Relay {
        let Pace { poll, lease, timeout, finish_within, concurrency } = *pace;
        let settings =
            RelaySettings { poll, lease, send_within: timeout, concurrency, per_destination: 8, finish_within };
        Relay::new(Arc::new(self.store()), Self::sending(pace.timeout), sinks, self.wakeups.clone(), settings)
    }

    pub fn store(&self) -> PgRelayStore {
        PgRelayStore::new(self.pool.clone())
    }

    /// An endpoint that wants every event from now on.
    pub async fn endpoint(&self, url: &str) -> DestinationId {
        let id = EndpointId(Uuid::now_v7());
        let sealed = Self::sending(LEASE).sealer.seal(&[9; 32], &bound_to(id));
        for statement in [
            "INSERT INTO docket.webhook_endpoints (tenant_id, id, name, url, event_types, enabled, created_at, updated_at)
             SELECT $1, $2, 'desk', $3, '{}', true, now(), now() WHERE $4::bytea IS NOT NULL",
            "INSERT INTO docket.webhook_secrets (tenant_id, endpoint_id, id, sealed, created_at)
             SELECT $1, $2, $2, $4, now() WHERE $3::text IS NOT NULL",
            "INSERT INTO docket.relay_cursors (tenant_id, reader, transaction_id, event_id)
             SELECT $1, 'webhooks', pg_snapshot_xmin(pg_current_snapshot()), '00000000-0000-0000-0000-000000000000'
             WHERE $2::uuid IS NOT NULL AND $3::text IS NOT NULL AND $4::bytea IS NOT NULL ON CONFLICT DO NOTHING",
        ] {
            let query = sqlx::query(statement).bind(self.tenant.0).bind(id.0).bind(url).bind(&sealed);
            query.execute(&self.owner).await.unwrap();
        }
        DestinationId(id.0)
    }

    /// Puts events of `cases` cases into the outbox, `each` of a case, one transaction an event of every case.
    pub async fn emit(&self, cases: &[Uuid], sequences: std::ops::RangeInclusive<i64>) {
        for sequence in sequences {
            sqlx::query(
                "INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, data, occurred_at)
                 SELECT $1, uuidv7(), c, $3, 'case.updated', $1, '{}', now() FROM unnest($2::uuid[]) AS c",
            )
            .bind(self.tenant.0)
            .bind(cases)
            .bind(sequence)
            .execute(&self.owner)
            .await
            .unwrap();
        }
    }

    /// Number of rows that a query counts.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.owner).await.unwrap()
    }
}

/// A relay in a task of its own.
pub struct Running {
    pub stop: CancellationToken,
    task: JoinHandle<Result<(), StoreError>>,
}

impl Running {
    pub fn start(relay: Relay) -> Self {
        let stop = CancellationToken::new();
        let token = stop.clone();
        Self { stop, task: tokio::spawn(async move { relay.run(token).await }) }
    }

    pub async fn finish(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(30), self.task).await.expect("stops").unwrap().unwrap();
    }

    /// Ends it as a crash would.
    pub fn kill(self) {
        self.task.abort();
    }
}

async fn pool(database: &TestDatabase) -> PgPool {
    let settings = PoolSettings {
        url: database.app_url(),
        size: 12,
        acquire_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(15),
    };
    postgres::connect(&settings).await.unwrap()
}

/// A sink that keeps a log of what it took, and can be told to refuse events or to be down.
#[derive(Default)]
pub struct Logged {
    pub log: Mutex<Vec<StoredEvent>>,
    pub refused: Mutex<HashSet<(Uuid, u64)>>,
    pub down: AtomicBool,
    pub calls: Mutex<u32>,
}

#[async_trait]
impl EventSink for Logged {
    fn name(&self) -> &'static str {
        "logged"
    }

    async fn deliver(&self, events: &[StoredEvent]) -> Vec<(usize, SinkError)> {
        *self.calls.lock() += 1;
        let mut missed = Vec::new();
        let mut stuck = HashSet::new();
        for (place, event) in events.iter().enumerate() {
            tokio::task::yield_now().await;
            if self.down.load(Ordering::SeqCst) {
                missed.push((place, SinkError::Unavailable("down".to_owned())));
            } else if stuck.contains(&event.case_id) || self.refused.lock().contains(&(event.case_id.0, event.sequence))
            {
                stuck.insert(event.case_id);
                missed.push((place, SinkError::Rejected("poison".to_owned())));
            } else {
                self.log.lock().push(event.clone());
            }
        }
        missed
    }
}

impl Logged {
    /// Sequences by case, in the order of arrival.
    pub fn by_case(&self) -> BTreeMap<Uuid, Vec<u64>> {
        let mut cases: BTreeMap<Uuid, Vec<u64>> = BTreeMap::new();
        for event in self.log.lock().iter() {
            cases.entry(event.case_id.0).or_default().push(event.sequence);
        }
        cases
    }

    pub fn taken(&self) -> usize {
        self.log.lock().len()
    }
}

/// Waits until `holds`, at most thirty seconds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    until_some(what, async || holds().then_some(())).await;
}

/// Waits until `look` finds something, at most thirty seconds.
pub async fn until_some<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let began = std::time::Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within thirty seconds: {what}");
}

/// A sink of the same name that never finishes.
#[derive(Default)]
pub struct Stuck {
    pub entered: AtomicBool,
}

#[async_trait]
impl EventSink for Stuck {
    fn name(&self) -> &'static str {
        "logged"
    }

    async fn deliver(&self, _: &[StoredEvent]) -> Vec<(usize, SinkError)> {
        self.entered.store(true, Ordering::SeqCst);
        std::future::pending().await
    }
}
