//! The composition root: the only place that names both ports and adapters.

mod answering;
mod delivery;
mod documents;
mod models;
mod outside;
mod plugins;
pub mod retrieval;
mod shutdown;
mod tokens;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::adapters::embedding::OnnxEmbedder;
use crate::adapters::http_client::GuardedResolver;
use crate::adapters::http_client::guarded_resolver::Lookup;
use crate::adapters::object_store::{S3Settings, open as open_store};
use crate::adapters::postgres::health::{DatabaseProbe, RowSecurityProbe};
use crate::adapters::postgres::open::{OpenDatabase, OpenSettings, open};
use crate::adapters::postgres::{
    Lane, PgAuditStore, PgBulkStore, PgCalendarStore, PgCaseReader, PgCaseStore, PgEventFeed, PgEvidenceIndex,
    PgJobStore, PgKeyStore, PgTenancyStore, PgWakeupChannel, Pool, pool, server_statistics,
};
use crate::adapters::python::{PluginPool, PluginProbe};
use crate::adapters::system::{Ed25519Signer, SystemClock, SystemRandomness, secret_file};
use crate::application::cases::calendars::CALENDAR_AGE;
use crate::application::cases::export_cases::ExportCases;
use crate::application::cases::import_cases::ImportCases;
use crate::application::cases::turns::Turns;
use crate::application::cases::{Calendars, CaseWriting};
use crate::application::events::wakeups::Wakeups;
use crate::application::jobs::Registry;
use crate::application::knowledge::own_vectors::OwnVectors;
use crate::application::models::PrefixCache;
use crate::application::ports::health::HealthProbe;
use crate::application::ports::{
    AuditStore, BlobStore, BulkStore, CaseReader, Clock, EventSink, EvidenceIndex, JobStore, Signer,
};
use crate::application::tenancy::{Authenticator, CredentialMemory, TenancyWriting};
use crate::config::Config;
use crate::entrypoints::http::cursor::CursorSigner;
use crate::entrypoints::http::health::HealthBoard;
use crate::entrypoints::http::middleware::{Shell, ShellSettings, wrap};
use crate::entrypoints::http::rate_limits::RateLimits;
use crate::entrypoints::http::state::{ApiParts, ApiState};
use crate::entrypoints::http::{docs, metrics, problem_pages, router, server};
use crate::telemetry;
use outside::Outside;
use retrieval::Words;
use tokens::Issuer;

pub use documents::parser;
pub use plugins::{plugin_worker, plugins};
pub use shutdown::Shutdown;
pub use worker::ingest_service;

/// How long a start waits for the index of words at most.
const FIRST_INDEX: Duration = Duration::from_secs(2);

/// The adapters behind the ports, ready to be put into the service or a command.
#[derive(Clone)]
pub struct Parts {
    pool: Pool,
    lane: Lane,
    /// The time and fresh ids.
    pub clock: Arc<dyn Clock>,
    /// Reading cases.
    pub cases: Arc<dyn CaseReader>,
    /// What deadlines are reckoned by.
    pub calendars: Calendars,
    /// Hints that an event was committed.
    pub wakeups: Wakeups,
    turns: Turns,
    /// Where events go inside the house, besides what the configuration names.
    pub sinks: Vec<Arc<dyn EventSink>>,
    /// How the names of webhook endpoints are looked up.
    pub lookup: Lookup,
    channel: PgWakeupChannel,
    embedding: Arc<OnceLock<Arc<OnnxEmbedder>>>,
    vectors: Arc<OnceLock<Arc<OwnVectors>>>,
    words: Words,
    plugin_pool: Arc<OnceLock<Arc<PluginPool>>>,
    prefixes: Arc<OnceLock<PrefixCache>>,
}

impl Parts {
    /// The adapters over an open pool.
    pub fn from_pool(pool: Pool) -> Self {
        let lane = Lane::beside(&pool);
        let cases = Arc::new(PgCaseReader::new(pool.clone(), lane.clone()));
        let clock = Arc::new(SystemClock::new());
        let calendars = Calendars::new(Arc::new(PgCalendarStore::new(pool.clone())), CALENDAR_AGE);
        let (wakeups, embedding, vectors) = (Wakeups::default(), Arc::default(), Arc::default());
        let (words, plugin_pool, prefixes) = (Words::default(), Arc::default(), Arc::default());
        let (sinks, lookup) = (Vec::new(), GuardedResolver::system_lookup());
        let channel = PgWakeupChannel::new(pool.clone(), clock.new_id());
        Self {
            pool,
            lane,
            clock,
            cases,
            calendars,
            wakeups,
            turns: Turns::default(),
            sinks,
            lookup,
            channel,
            embedding,
            vectors,
            words,
            plugin_pool,
            prefixes,
        }
    }

    /// The one way to write cases.
    pub fn writing(&self, config: &Config) -> CaseWriting {
        CaseWriting {
            store: Arc::new(PgCaseStore::new(self.pool.clone(), self.lane.clone())),
            clock: self.clock.clone(),
            calendars: self.calendars.clone(),
            key_lifetime: time::Duration::hours(i64::from(config.idempotency.ttl_hours)),
            wakeups: self.wakeups.clone(),
            turns: self.turns.clone(),
        }
    }

    /// The one way to administer tenants; `memory` is what the authenticator of this process remembers.
    pub fn tenancy(&self, config: &Config, memory: Arc<CredentialMemory>) -> TenancyWriting {
        TenancyWriting {
            store: Arc::new(PgTenancyStore::new(self.pool.clone(), self.lane.clone())),
            clock: self.clock.clone(),
            randomness: Arc::new(SystemRandomness),
            memory,
            key_lifetime: time::Duration::hours(i64::from(config.idempotency.ttl_hours)),
        }
    }

    /// Administering tenants from the command line, where no authenticator of this process remembers anything.
    pub fn administration(&self, config: &Config) -> TenancyWriting {
        self.tenancy(config, Arc::new(CredentialMemory::new(Duration::ZERO)))
    }

    /// Judges API keys by what the database says now.
    pub fn forgetful_authenticator(&self) -> Authenticator {
        Authenticator::new(Arc::new(PgKeyStore::new(self.pool.clone())), None, self.clock.clone(), Duration::ZERO)
    }

    /// Moving cases in bulk, and finding the tenant for it.
    pub fn bulk(&self) -> Arc<dyn BulkStore> {
        Arc::new(PgBulkStore::new(self.pool.clone()))
    }

    /// Importing cases from files.
    pub fn importing(&self) -> ImportCases {
        ImportCases { store: self.bulk(), clock: self.clock.clone(), calendars: self.calendars.clone() }
    }

    /// Exporting cases to files.
    pub fn exporting(&self) -> ExportCases {
        ExportCases { store: self.bulk() }
    }

    /// The audit trail.
    pub fn audit(&self) -> Arc<dyn AuditStore> {
        Arc::new(PgAuditStore::new(self.pool.clone()))
    }

    /// What signs and verifies checkpoints.
    pub fn signer(&self, config: &Config) -> anyhow::Result<Arc<dyn Signer>> {
        let path = &config.audit.signing_key_file;
        let opened = Ed25519Signer::open(path);
        let signer = opened.with_context(|| format!("cannot keep the signing key in {}", path.display()))?;
        // The configuration was checked: each is 32 bytes.
        let retired = config.audit.retired_keys.iter().filter_map(|key| hex::decode(key).ok()?.try_into().ok());
        Ok(Arc::new(signer.with_retired(retired.collect())))
    }

    /// Where the bytes of evidence live.
    pub fn blobs(&self, config: &Config) -> anyhow::Result<Arc<dyn BlobStore>> {
        let section = &config.storage;
        let text = |secret: &Option<SecretString>| secret.as_ref().map(|text| text.expose_secret().to_owned());
        let s3 = S3Settings {
            endpoint: section.s3_endpoint.clone(),
            region: section.s3_region.clone(),
            access_key_id: text(&section.s3_access_key_id),
            secret_access_key: text(&section.s3_secret_access_key),
        };
        let opened = open_store(&section.url, &s3);
        Ok(Arc::new(opened.with_context(|| format!("cannot open {} (storage.url)", section.url))?))
    }

    /// What the database knows of the bytes of evidence.
    pub fn evidence(&self) -> Arc<dyn EvidenceIndex> {
        Arc::new(PgEvidenceIndex::new(self.pool.clone()))
    }

    /// Jobs of one tenant.
    pub fn jobs(&self) -> Arc<dyn JobStore> {
        Arc::new(PgJobStore::new(self.pool.clone()))
    }

    /// The kinds of jobs there are.
    pub fn job_kinds(&self, config: &Config) -> anyhow::Result<Registry> {
        worker::registry(self, config, &Outside::of_jobs(self, config)?)
    }

    fn probes(&self) -> Vec<Arc<dyn HealthProbe>> {
        vec![Arc::new(DatabaseProbe(self.pool.clone())), Arc::new(RowSecurityProbe(self.pool.clone()))]
    }

    fn api_state(&self, config: &Config, issuer: Option<&Issuer>, stop: CancellationToken) -> anyhow::Result<ApiState> {
        let keys = Arc::new(PgKeyStore::new(self.pool.clone()));
        let memory = Duration::from_secs(config.security.api_key_cache_seconds);
        let memory = Arc::new(CredentialMemory::new(memory));
        let tenancy = self.tenancy(config, memory.clone());
        let tokens = issuer.map(|issuer| issuer.verifier(&tenancy)).transpose()?;
        let search = self.search(config);
        Ok(ApiState::new(ApiParts {
            writing: self.writing(config),
            cases: self.cases.clone(),
            audit: self.audit(),
            signer: self.signer(config)?,
            blobs: self.blobs(config)?,
            evidence: self.evidence(),
            max_evidence_bytes: config.storage.max_evidence_bytes,
            events: Arc::new(PgEventFeed::new(self.pool.clone())),
            streams: Self::streams(config, stop),
            library: self.library(config, tenancy.clone())?,
            fetcher: self.fetcher(config)?,
            jobs: self.jobs(),
            answering: self.answering(config, search.clone())?,
            search,
            job_kinds: self.job_kinds(config)?,
            register_entries: self.register_entries(),
            clock: self.clock.clone(),
            deliveries: self.delivery_desk(config, tenancy.clone())?,
            tenancy,
            authenticator: Arc::new(Authenticator::with_memory(keys, tokens, self.clock.clone(), memory)),
            limits: RateLimits::new(&config.limits),
            cursors: CursorSigner::new(cursor_key(config)?),
            public_url: config.public_url(),
            page_size_default: config.limits.page_size_default,
            page_size_max: config.limits.page_size_max,
        }))
    }
}

/// Opens the database that the configuration names: starts or adopts the embedded one, migrates, connects.
pub async fn database(config: &Config) -> anyhow::Result<OpenDatabase> {
    let section = &config.database;
    let text = |secret: &Option<SecretString>| secret.as_ref().map(|url| url.expose_secret().to_owned());
    let settings = OpenSettings {
        url: text(&section.url),
        migration_url: text(&section.migration_url),
        embedded_data_dir: section.embedded_data_dir.clone(),
        embedded_install_dir: section.embedded_install_dir.clone(),
        pool_size: section.pool_size,
        acquire_timeout: Duration::from_millis(section.acquire_timeout_ms),
        statement_timeout: Duration::from_millis(section.statement_timeout_ms),
    };
    open(&settings).await.context("cannot open the database")
}

/// Builds the service from `config` and runs it until `shutdown` is carried out and the requests in flight have finished.
pub async fn serve(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let bind = config.server.bind;
    let listener = TcpListener::bind(bind).await.with_context(|| format!("cannot listen on {bind} (server.bind)"))?;
    let database = database(&config).await?;
    let outcome = run(config, Parts::from_pool(database.pool.clone()), listener, shutdown).await;
    database.close().await.context("cannot close the database")?;
    outcome
}

/// Runs the service over given parts on a listener.
pub async fn run(
    mut config: Config,
    parts: Parts,
    listener: TcpListener,
    shutdown: impl Into<Shutdown>,
) -> anyhow::Result<()> {
    let Shutdown { begun, closing } = shutdown.into();
    // Port 0 takes a free one; links must name the real one.
    config.server.bind = listener.local_addr()?;
    let upkeep = tokio::spawn(telemetry::metrics::upkeep());
    let pool_gauges = tokio::spawn(pool::observe(parts.pool.clone()));
    let outside = Outside::of(&parts, &config)?;
    let worker = worker::worker(&parts, &config, &outside)?;
    let issuer = Issuer::of(&config)?;
    let mut probes: Vec<_> = parts.probes().into_iter().chain(worker.probes()).collect();
    probes.extend(outside.probes());
    if let Some(issuer) = &issuer {
        probes.push(issuer.probe());
    }
    probes.extend(parts.retrieval_probes(&config));
    let required = config.plugins.required;
    probes.push(Arc::new(PluginProbe { pool: parts.plugin_pool(&config), required }));
    let warming = parts.warm_up(&config);
    let health = HealthBoard::new(probes, begun.clone());
    let mut router = health.routes().merge(metrics::routes());
    let mut upkeep_of_api = Vec::new();
    if config.server.role.serves_api() {
        let state = parts.api_state(&config, issuer.as_ref(), closing.clone())?;
        upkeep_of_api.push(tokio::spawn(forget_quiet_clients(state.clone())));
        upkeep_of_api.push(tokio::spawn(parts.follow_passages(&config, closing.clone())));
        upkeep_of_api.extend(issuer.map(|issuer| tokio::spawn(issuer.keep_keys())));
        let (api, document) = router::api(state);
        router = router.merge(api).merge(problem_pages::routes()).merge(docs::routes(document, &config.public_url()));
    }
    let shell = Shell::new(ShellSettings::from(&config), parts.clock.clone());
    // A server that fails stops the background work, too; background work that fails is started again.
    let (stop_work, stop_hints) = (begun.child_token(), closing.child_token());
    worker::announce(&parts, &config, &stop_hints);
    let working = tokio::spawn(worker.run(stop_work.clone(), worker::grace(&config)));
    if config.server.role.serves_api() {
        parts.words_are_ready(FIRST_INDEX).await;
    }
    health.mark_started();
    let catching_up = config.server.role.works().then(|| tokio::spawn(parts.catch_up(&config)));
    // Watched from here on: what was not ready while the service started would be shown as down for a moment.
    let watch = tokio::spawn(watch(health.clone(), parts.pool.clone(), config.data_dir.clone()));
    tracing::info!(url = config.public_url(), "listening");
    let served = server::serve(listener, wrap(router, shell), (&config.server).into(), closing).await;
    stop_work.cancel();
    stop_hints.cancel();
    working.await.context("the worker panicked")?;
    upkeep.abort();
    pool_gauges.abort();
    watch.abort();
    catching_up.inspect(tokio::task::JoinHandle::abort);
    for task in upkeep_of_api {
        task.abort();
    }
    parts.lane.close().await;
    let _ = warming.await;
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// Keeps the gauges of what the service stands on: its parts, the database server, the disk.
async fn watch(health: HealthBoard, pool: Pool, data_dir: PathBuf) {
    tokio::join!(health.watch(), server_statistics::observe(pool), telemetry::disk::observe(data_dir));
}

/// Keeps the memory of the rate limits in step with the number of active clients.
async fn forget_quiet_clients(state: ApiState) {
    let mut ticks = tokio::time::interval(Duration::from_mins(1));
    loop {
        ticks.tick().await;
        state.limits.forget_idle();
    }
}

/// The key that signs cursors: configured, or made once and kept under the data directory.
fn cursor_key(config: &Config) -> anyhow::Result<[u8; 32]> {
    if let Some(configured) = &config.security.cursor_key {
        let mut key = [0; 32];
        hex::decode_to_slice(configured.expose_secret(), &mut key)
            .context("security.cursor_key is not 64 hex digits")?;
        return Ok(key);
    }
    let path = config.data_dir.join("cursor.key");
    secret_file::read_or_create(&path).with_context(|| format!("cannot keep the cursor key in {}", path.display()))
}
