//! The scene of the tests of answering: one passage, a model by script, the real ledger and the real store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use docket::adapters::postgres::{PgAnswerStore, PgUsageLedger};
use docket::adapters::system::SystemRandomness;
use docket::application::error::UseCaseError;
use docket::application::knowledge::answer::{Answer, AnswerEvent, AnswerModel};
use docket::application::knowledge::answer_question::{Answered, Question, answer_question};
use docket::application::knowledge::answering::{AnswerRules, Answering, AskModels, Asked};
use docket::application::knowledge::passages::{FindPassages, FoundPassage, PassageQuery};
use docket::application::models::{ChainSettings, ModelChain, PrefixCache, Tab};
use docket::application::ports::language_model::{
    LanguageModel, ModelError, ModelEvent, ModelRequest, ModelStream, StopReason,
};
use docket::application::request::Caller;
use docket_domain::budget::{Price, PriceTable, Usage};
use docket_domain::case::Confidentiality;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use uuid::Uuid;

use crate::desk::{TENANT, caseworker, claim};
use crate::fakes::FrozenClock;
use crate::support::database::TestDatabase;

const LEAKS: &str = "An operator reports a leak within 24 hours. The report names the valve.";
/// What the passage stands in.
pub const DOCUMENT: Uuid = Uuid::from_u128(2);
/// A dollar for a million tokens in, two out.
const PRICE: Price = Price { input: 1_000_000_000, cache_read: 0, cache_write: 0, output: 2_000_000_000 };

/// One passage for everybody.
struct OnePassage(Confidentiality);

#[async_trait]
impl FindPassages for OnePassage {
    async fn find(&self, _: &Caller, query: &PassageQuery) -> Result<Vec<FoundPassage>, UseCaseError> {
        if query.question.contains("penguins") {
            return Ok(Vec::new());
        }
        Ok(vec![FoundPassage {
            chunk_id: Uuid::from_u128(1),
            document_id: DOCUMENT,
            title: "Leaks".to_owned(),
            headings: vec![],
            text: format!("Größe. {LEAKS}"),
            page_from: Some(3),
            page_to: Some(3),
            char_start: 100,
            confidentiality: self.0,
            score: 1.0,
        }])
    }
}

/// What a model does.
#[derive(Clone)]
pub enum Script {
    /// Says this and reports its usage.
    Says(&'static str),
    /// Says it word by word for ever.
    Drones,
    /// Refuses to begin.
    Fails,
    /// Says a word and breaks off.
    Breaks,
    /// Reports what it read and breaks off before it says anything.
    Chokes,
    /// Begins to answer and says nothing.
    IsSilent,
}

/// A model by script; counts who asked, and who went away in the middle.
pub struct Scripted {
    pub script: Mutex<Script>,
    pub asked: AtomicUsize,
    pub dropped: Arc<AtomicUsize>,
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl LanguageModel for Scripted {
    fn provider(&self) -> &'static str {
        "openai"
    }

    fn model(&self) -> &'static str {
        "scripted"
    }

    fn input_tokens_at_most(&self, _: &ModelRequest) -> u64 {
        1_000
    }

    async fn stream(&self, _: &ModelRequest) -> Result<ModelStream, ModelError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let usage = Usage { input_tokens: 900, output_tokens: 20, ..Usage::default() };
        match self.script.lock().clone() {
            Script::Says(text) => Ok(stream::iter([
                Ok(ModelEvent::Text(text.to_owned())),
                Ok(ModelEvent::Usage(usage)),
                Ok(ModelEvent::End(StopReason::Complete)),
            ])
            .boxed()),
            Script::Drones => {
                let guard = OnDrop(self.dropped.clone());
                Ok(stream::unfold(guard, |guard| async move {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    Some((Ok(ModelEvent::Text("word ".to_owned())), guard))
                })
                .boxed())
            }
            Script::Fails => Err(ModelError::Unavailable("down".to_owned())),
            Script::Breaks => Ok(stream::iter([
                Ok(ModelEvent::Text("Operators ".to_owned())),
                Err(ModelError::Unavailable("cut".to_owned())),
            ])
            .boxed()),
            Script::Chokes => Ok(stream::iter([
                Ok(ModelEvent::Usage(Usage { output_tokens: 0, ..usage })),
                Err(ModelError::Unavailable("cut".to_owned())),
            ])
            .boxed()),
            Script::IsSilent => Ok(stream::pending().boxed()),
        }
    }
}

struct Alone(Arc<Scripted>);

#[async_trait]
impl AskModels for Alone {
    fn models(&self) -> Vec<Arc<dyn LanguageModel>> {
        vec![self.0.clone()]
    }

    async fn ask(&self, request: &ModelRequest, _: Instant, _: &Tab) -> Result<Asked, ModelError> {
        let model = AnswerModel { provider: "openai".to_owned(), name: "scripted".to_owned(), attempts: 1 };
        Ok(Asked { stream: self.0.stream(request).await?, model })
    }
}

pub struct Bench {
    pub answering: Answering,
    pub model: Arc<Scripted>,
    pub owner: PgPool,
    _database: TestDatabase,
}

pub async fn bench(confidentiality: Confidentiality, budget: u64) -> Bench {
    let database = TestDatabase::new().await;
    let pool = PgPool::connect(&database.app_url()).await.unwrap();
    let owner = PgPool::connect(&database.superuser_url()).await.unwrap();
    sqlx::query("INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, 'rail', 'Rail', now())")
        .bind(TENANT.0)
        .execute(&owner)
        .await
        .unwrap();
    sow(&owner).await;
    let model = Arc::new(Scripted {
        script: Mutex::new(Script::Says("Operators report leaks within 24 hours [1].")),
        asked: AtomicUsize::new(0),
        dropped: Arc::default(),
    });
    let answering = Answering {
        passages: Arc::new(OnePassage(confidentiality)),
        models: Arc::new(Alone(model.clone())),
        prefixes: PrefixCache::new(1_000_000),
        prices: Arc::new(PriceTable::new([("scripted".to_owned(), PRICE)])),
        answers: Arc::new(PgAnswerStore::new(pool.clone())),
        ledger: Arc::new(PgUsageLedger::new(pool.clone())),
        clock: Arc::new(FrozenClock::new()),
        room: Arc::new(Semaphore::new(64)),
        rules: AnswerRules {
            timeout: Duration::from_mins(1),
            max_output_tokens: 100,
            passages: 5,
            rerank: false,
            default_budget_nanos: budget,
            key_lifetime: time::Duration::hours(24),
        },
    };
    Bench { answering, model, owner, _database: database }
}

/// The document of the one passage.
async fn sow(owner: &PgPool) {
    for statement in [
        "INSERT INTO docket.collections (tenant_id, id, name, chunking_strategy, chunk_size, chunk_overlap, created_by, created_at)
         VALUES ($1, $2, 'rules', 'recursive', 400, 0, $2, now())",
        "INSERT INTO docket.evidence_blobs (tenant_id, sha256, size_bytes, media_type, created_at)
         VALUES ($1, sha256(uuid_send($2)), 1, 'text/plain', now())",
        "INSERT INTO docket.documents (tenant_id, id, collection_id, title, source, media_type, sha256, size_bytes,
                                       confidentiality, status, created_by, created_at, updated_at)
         VALUES ($1, $2, $2, 'Leaks', 'leaks.txt', 'text/plain', sha256(uuid_send($2)), 1, 'public', 'ready', $2, now(), now())",
    ] {
        sqlx::query(statement).bind(TENANT.0).bind(DOCUMENT).execute(owner).await.unwrap();
    }
}

pub fn question(text: &str) -> Question {
    Question { text: text.to_owned(), collection: None }
}

impl Bench {
    /// Asks the model through the chain that the service has.
    pub fn by_the_chain(&mut self) {
        let (clock, settings) = (self.answering.clock.clone(), ChainSettings::default());
        let chain = ModelChain::new(vec![self.model.clone()], settings, clock, Arc::new(SystemRandomness));
        self.answering.models = Arc::new(chain);
    }

    pub async fn ask(&self, caller: Caller, key: &str, text: &str) -> Result<Answered, UseCaseError> {
        answer_question(&self.answering, caller, Some(&claim(key, 1)), Ok(question(text))).await
    }

    pub async fn answer(&self, key: &str, text: &str) -> Result<Answer, UseCaseError> {
        match self.ask(caseworker(), key, text).await? {
            Answered::Events(events) => last(events).await,
            Answered::Replay(body) => panic!("a replay: {body}"),
        }
    }

    /// Settled calls: outcome and cost.
    pub async fn calls(&self) -> Vec<(String, i64)> {
        let sql = "SELECT outcome, cost_nanos FROM docket.model_calls WHERE state = 'settled' ORDER BY id";
        sqlx::query_as(sql).fetch_all(&self.owner).await.unwrap()
    }

    pub async fn until_settled(&self, calls: usize) -> Vec<(String, i64)> {
        let patience = Instant::now() + Duration::from_secs(30);
        loop {
            let settled = self.calls().await;
            if settled.len() >= calls {
                return settled;
            }
            assert!(Instant::now() < patience, "only {settled:?} were settled");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn spending(&self) -> (i64, i64) {
        let sql = "SELECT coalesce(sum(spent_nanos), 0)::bigint, coalesce(sum(reserved_nanos), 0)::bigint FROM docket.spending";
        sqlx::query_as(sql).fetch_one(&self.owner).await.unwrap()
    }
}

pub async fn last(mut events: mpsc::Receiver<Result<AnswerEvent, UseCaseError>>) -> Result<Answer, UseCaseError> {
    while let Some(event) = events.recv().await {
        if let AnswerEvent::Done(answer) = event? {
            return Ok(*answer);
        }
    }
    panic!("the answer never ended");
}
