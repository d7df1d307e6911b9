//! How fast the relay is: events a second to a sink in the process, lag at a steady rate, and commit to webhook delivery on
//! an idle system with hints and by polling. Prints one JSON object; `make bench-relay` runs it.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::too_many_lines
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use clap::Parser;
use docket::adapters::postgres::embedded::{EmbeddedPostgres, EmbeddedSettings};
use docket::adapters::postgres::{self, PgRelayStore, pool::PoolSettings};
use docket::adapters::system::{AesSealer, SystemClock};
use docket::application::events::relay::{Relay, RelaySettings};
use docket::application::events::wakeups::Wakeups;
use docket::application::ports::EventSink;
use docket::application::ports::event_feed::StoredEvent;
use docket::application::ports::event_sink::SinkError;
use docket::application::ports::webhook_sender::{Message, Receipt, WebhookSender};
use docket::application::webhooks::send::Sending;
use docket_domain::ids::TenantId;
use parking_lot::Mutex;
use serde_json::json;
use sqlx::{Executor, PgPool};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Measures the relay on a durable PostgreSQL of its own.
#[derive(Parser)]
struct Arguments {
    /// Where the server keeps its files; an empty directory.
    data_dir: std::path::PathBuf,
    /// Events handed on at once.
    #[arg(long, default_value_t = 100_000)]
    events: i64,
    /// Delivered events that lie behind the second measurement.
    #[arg(long, default_value_t = 1_000_000)]
    behind: i64,
}

/// Counts events, checks the order of each case, and keeps the lags.
#[derive(Default)]
struct Counter {
    taken: AtomicUsize,
    reordered: AtomicUsize,
    last: Mutex<std::collections::HashMap<Uuid, u64>>,
    lags: Mutex<Vec<f64>>,
}

impl Counter {
    fn take(&self, event: &StoredEvent) {
        let lag = (OffsetDateTime::now_utc() - event.occurred_at).as_seconds_f64() * 1_000.0;
        let before = self.last.lock().insert(event.case_id.0, event.sequence).unwrap_or(0);
        if event.sequence != before + 1 {
            self.reordered.fetch_add(1, Ordering::Relaxed);
        }
        self.lags.lock().push(lag);
        self.taken.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl EventSink for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    async fn deliver(&self, events: &[StoredEvent]) -> Vec<(usize, SinkError)> {
        for event in events {
            self.take(event);
        }
        Vec::new()
    }
}

/// Takes messages without a network and notes when.
#[derive(Default)]
struct Inbox(Mutex<Vec<Instant>>);

#[async_trait]
impl WebhookSender for Inbox {
    async fn refusal(&self, _: &str) -> Option<String> {
        None
    }

    async fn send(&self, _: &Message) -> Receipt {
        self.0.lock().push(Instant::now());
        Receipt { status: Some(204), retry_after: None, detail: None, took: Duration::ZERO }
    }
}

struct Stage {
    owner: PgPool,
    pool: PgPool,
    tenant: TenantId,
    cases: Vec<Uuid>,
}

impl Stage {
    /// Appends `count` events spread over the cases, one transaction for each round over all cases.
    async fn emit(&self, from: i64, count: i64) {
        let each = i64::try_from(self.cases.len()).unwrap();
        let sql = "INSERT INTO docket.outbox_events (tenant_id, id, case_id, sequence, type, actor_id, data, occurred_at)
                   SELECT $1, uuidv7(), c, s, 'case.updated', $1, '{\"state\": \"draft\", \"version\": 1}', clock_timestamp()
                   FROM generate_series($3::bigint, $4) AS s, unnest($2::uuid[]) AS c ORDER BY s";
        let rounds = (count / each).max(1);
        let insert = sqlx::query(sql).bind(self.tenant.0).bind(&self.cases).bind(from).bind(from + rounds - 1);
        insert.execute(&self.owner).await.unwrap();
    }

    fn relay(&self, sinks: Vec<Arc<dyn EventSink>>, inbox: Arc<Inbox>, wakeups: &Wakeups) -> Relay {
        let settings = RelaySettings {
            poll: Duration::from_secs(1),
            lease: Duration::from_secs(30),
            send_within: Duration::from_secs(10),
            concurrency: 64,
            per_destination: 8,
            finish_within: Duration::from_secs(6),
        };
        let sealer = Arc::new(AesSealer::new(&[1; 32]).unwrap());
        let sending = Sending { sender: inbox, sealer, clock: Arc::new(SystemClock::new()) };
        let store = Arc::new(PgRelayStore::new(self.pool.clone()));
        Relay::new(store, sending, sinks, wakeups.clone(), settings)
    }
}

/// Runs a relay while `work` lasts.
async fn with<T>(relay: Relay, work: impl Future<Output = T>) -> T {
    let stop = CancellationToken::new();
    let token = stop.clone();
    let running = tokio::spawn(async move { relay.run(token).await });
    let result = work.await;
    stop.cancel();
    running.await.unwrap().unwrap();
    result
}

/// Events a second from the start of the relay until the sink has them all.
async fn throughput(stage: &Stage, counter: &Arc<Counter>, events: usize) -> f64 {
    let began = Instant::now();
    let goal = counter.taken.load(Ordering::Relaxed) + events;
    with(stage.relay(vec![counter.clone()], Arc::default(), &Wakeups::default()), async {
        while counter.taken.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        events as f64 / began.elapsed().as_secs_f64()
    })
    .await
}

fn percentile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = ((values.len().saturating_sub(1)) as f64 * part) as usize;
    values.get(at).copied().unwrap_or_default()
}

/// Commit to delivery of single events on an idle system, in milliseconds.
async fn idle(stage: &Stage, rounds: i64, from: i64, wakeups: &Wakeups, hint: bool) -> (f64, f64) {
    let inbox = Arc::new(Inbox::default());
    let mut times = Vec::new();
    with(stage.relay(Vec::new(), inbox.clone(), wakeups), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let one = Stage {
            owner: stage.owner.clone(),
            pool: stage.pool.clone(),
            tenant: stage.tenant,
            cases: vec![stage.cases[0]],
        };
        for round in 0..rounds {
            let before = inbox.0.lock().len();
            one.emit(from + round, 1).await;
            let committed = Instant::now();
            if hint {
                wakeups.committed(stage.tenant);
            }
            while inbox.0.lock().len() == before {
                tokio::time::sleep(Duration::from_micros(200)).await;
            }
            times.push((*inbox.0.lock().last().unwrap() - committed).as_secs_f64() * 1_000.0);
            tokio::time::sleep(Duration::from_millis(if hint { 30 } else { 37 * u64::try_from(round % 7).unwrap() }))
                .await;
        }
    })
    .await;
    (percentile(&mut times, 0.5), percentile(&mut times, 0.99))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let settings = EmbeddedSettings { durable: true, ..EmbeddedSettings::new(&arguments.data_dir) };
    let server = EmbeddedPostgres::start(&settings).await?;
    let url = server.url(server.superuser(), "docket");
    PgPool::connect(&server.url(server.superuser(), "postgres")).await?.execute("CREATE DATABASE docket").await?;
    postgres::migrate(&url).await?;
    let owner = PgPool::connect(&url).await?;
    let (wait, limit) = (Duration::from_secs(5), Duration::from_mins(1));
    let pool =
        postgres::connect(&PoolSettings { url, size: 16, acquire_timeout: wait, statement_timeout: limit }).await?;
    let tenant = TenantId(Uuid::now_v7());
    sqlx::query("INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, 'pace', 'pace', now())")
        .bind(tenant.0)
        .execute(&owner)
        .await?;
    let stage = Stage { owner, pool, tenant, cases: (0..500).map(|_| Uuid::now_v7()).collect() };
    let counter = Arc::new(Counter::default());
    let (events, rounds) = (usize::try_from(arguments.events)?, arguments.events / 500);
    stage.emit(1, arguments.events).await;
    let fresh = throughput(&stage, &counter, events).await;
    stage.emit(rounds + 1, arguments.behind).await;
    stage.owner.execute("VACUUM ANALYZE docket.outbox_events").await?;
    let behind_events = usize::try_from(arguments.behind)?;
    let through = throughput(&stage, &counter, behind_events).await;
    let next = rounds + arguments.behind / 500 + 1;
    stage.emit(next, arguments.events).await;
    let behind = throughput(&stage, &counter, events).await;
    // A steady 2,000 a second: 500 cases, a round each quarter of a second would be a burst, so 20 parts of 100 a second.
    counter.lags.lock().clear();
    let wakeups = Wakeups::default();
    let next = next + rounds;
    with(stage.relay(vec![counter.clone()], Arc::default(), &wakeups), async {
        let parts: Vec<Stage> = (stage.cases.chunks(20))
            .map(|cases| {
                let (owner, pool) = (stage.owner.clone(), stage.pool.clone());
                Stage { owner, pool, tenant: stage.tenant, cases: cases.to_vec() }
            })
            .collect();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        for tick in 0..1_000_usize {
            ticks.tick().await;
            let round = i64::try_from(tick / parts.len()).unwrap();
            parts[tick % parts.len()].emit(next + round, 20).await;
            wakeups.committed(stage.tenant);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    })
    .await;
    let lag = percentile(&mut counter.lags.lock(), 0.99);
    sqlx::query(
        "INSERT INTO docket.webhook_endpoints (tenant_id, id, name, url, event_types, enabled, created_at, updated_at)
         VALUES ($1, $1, 'pace', 'https://example.org/', '{}', true, now(), now())",
    )
    .bind(tenant.0)
    .execute(&stage.owner)
    .await?;
    sqlx::query(
        "INSERT INTO docket.relay_cursors (tenant_id, reader, transaction_id, event_id)
         VALUES ($1, 'webhooks', pg_snapshot_xmin(pg_current_snapshot()), '00000000-0000-0000-0000-000000000000')",
    )
    .bind(tenant.0)
    .execute(&stage.owner)
    .await?;
    let hinted = idle(&stage, 200, next + 1_000, &wakeups, true).await;
    let polled = idle(&stage, 20, next + 2_000, &wakeups, false).await;
    let reordered = counter.reordered.load(Ordering::Relaxed);
    println!(
        "{:#}",
        json!({
            "events_per_second": fresh.round(), "events_per_second_while_reading_what_will_lie_behind": through.round(),
            "delivered_behind": arguments.events + arguments.behind, "events_per_second_with_those_behind": behind.round(),
            "reordered": reordered, "lag_p99_ms_at_2000_per_second": lag, "idle_hint_p50_ms": hinted.0,
            "idle_hint_p99_ms": hinted.1, "idle_poll_p50_ms": polled.0, "idle_poll_p99_ms": polled.1,
        })
    );
    server.stop().await?;
    Ok(())
}
