//! Questions beside the load, to a model that costs something. What is answered is paid for once and kept to the byte; what a
//! killed process had reserved is charged when its time is over; and no tenant spends more than it may.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use sqlx::{Executor, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::client::{Answer, Client, Request};
use super::random::Random;
use super::report::Findings;
use super::stage::{Stage, Tenant};
use crate::sown_document::SownDocument;

/// The offline model costs something here, so that there is something to account for; and it goes by words alone, because
/// loading the model of meaning takes longer than the service lives.
pub const SETTINGS: [(&str, &str); 2] = [
    ("DOCKET_MODELS__PRICES", "[\"docket-extractive=1/1/1/1\"]"),
    ("DOCKET_EMBEDDING__MODEL_DIR", "/there/is/no/model"),
];

/// What the tenants may spend in a month, in nano-dollars: the first more than it needs, the second some dozen answers.
const BUDGETS: [i64; 2] = [1_000_000_000_000, 4_000_000];
/// Between two questions of a tenant, so that writes stay most of the load.
const PAUSE: Duration = Duration::from_millis(30);
/// How often a question is sent under its key before the key is left behind.
const TRIES: i64 = 20;
/// How long the last question may go without an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Keys left behind, and answers, that are asked for once more at the end.
const AGAIN: usize = 20;

const WORDS: [&str; 3] = [
    "Within how many hours must a leak of gas be reported?",
    "Who reports a leak of gas to the harbour?",
    "What does the report of a leak of gas name?",
];

/// How a question ended.
#[derive(Debug, Clone)]
enum End {
    Answered(Answer),
    /// The budget did not cover it.
    Refused,
    /// Its key is held by somebody, who may be dead, or was never taken.
    LeftBehind,
}

#[derive(Debug, Clone)]
struct Asked {
    request: Request,
    /// Stands in every document that its tenant has.
    mark: String,
    /// How often it was sent, unless it was left behind and asked for again until there was an answer.
    sends: Option<i64>,
    end: End,
}

type Log = Arc<Mutex<Vec<Asked>>>;

/// Running askers, one a tenant.
pub struct Questions {
    client: Client,
    log: Log,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Questions {
    /// Sows a document into each of the first two tenants, sets their budgets and starts to ask.
    pub async fn start(client: &Client, stage: &Stage, random: &Random) -> Self {
        let owner = stage.owner().await;
        let (log, stop, mut tasks) = (Log::default(), CancellationToken::new(), JoinSet::new());
        for (number, tenant) in stage.tenants.iter().take(BUDGETS.len()).enumerate() {
            let mark = format!("quay-{number}-of-its-own");
            let text = format!(
                "An operator reports a leak of gas to the harbour of {mark} within 24 hours. The report of the leak names the valve at {mark}."
            );
            let admin = tenant.principals[&Role::Admin];
            let sown =
                SownDocument { admin, collection: "rules", title: "Leaks", text: &text, confidentiality: "public" };
            sown.sow(&owner).await;
            set_budget(&owner, admin, BUDGETS[number]).await;
            let random = random.part(1_000 + number as u64);
            let asker = Asker { client: client.clone(), tenant: tenant.clone(), mark, random, log: log.clone() };
            tasks.spawn(asker.run(stop.clone()));
        }
        owner.close().await;
        Self { client: client.clone(), log, stop, tasks }
    }

    /// Lets every tenant ask once more; then ends what dead processes hold, as time would: keys that were left behind are taken
    /// over by whoever asks again, and reservations are charged.
    pub async fn finish(mut self, owner: &PgPool) -> Answers {
        self.stop.cancel();
        while let Some(done) = self.tasks.join_next().await {
            done.unwrap();
        }
        let held =
            owner.execute("UPDATE docket.answers SET lease_until = clock_timestamp() WHERE state = 'running'").await;
        let mut answers =
            Answers { log: self.log.lock().unwrap().clone(), held: held.unwrap().rows_affected(), lost: 0 };
        answers.again(&self.client).await;
        let lost = owner
            .execute("UPDATE docket.model_calls SET expires_at = clock_timestamp() WHERE state = 'reserved'")
            .await;
        answers.lost = lost.unwrap().rows_affected();
        let sweep =
            "INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, requested_by, created_at)
                     SELECT '00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'settle_lost_calls', '{}', 1, 1,
                            clock_timestamp(), '00000000-0000-0000-0000-000000000000', clock_timestamp()";
        owner.execute(sweep).await.unwrap();
        answers
    }
}

async fn set_budget(owner: &PgPool, admin: Uuid, nanos: i64) {
    sqlx::query(
        "INSERT INTO docket.budgets (tenant_id, monthly_nanos, updated_at)
         SELECT tenant_id, $2, now() FROM docket.principals WHERE id = $1",
    )
    .bind(admin)
    .bind(nanos)
    .execute(owner)
    .await
    .unwrap();
}

struct Asker {
    client: Client,
    tenant: Tenant,
    mark: String,
    random: Random,
    log: Log,
}

impl Asker {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.ask().await;
            tokio::time::sleep(PAUSE).await;
        }
        // When all is quiet again, there is an answer from the documents, unless the budget is used up.
        let quiet = Instant::now();
        while quiet.elapsed() < PATIENCE {
            match self.ask().await {
                End::Answered(answer) if answer.json()["verdict"] == "supported" => return,
                End::Refused => return,
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        self.client.findings.add(format!("{} got no answer from its documents in {PATIENCE:?} of quiet", self.mark));
    }

    /// Asks under a key of its own, and notes how it ended.
    async fn ask(&mut self) -> End {
        let question = *self.random.pick(&WORDS);
        let request = Request {
            method: Method::POST,
            path: "/v1/answers".to_owned(),
            api_key: self.tenant.keys[&Role::Reporter].clone(),
            key: Some(self.random.key()),
            if_match: None,
            body: Some(json!({"question": question})),
        };
        let (sends, end) = self.outcome(&request).await;
        self.log.lock().unwrap().push(Asked { request, mark: self.mark.clone(), sends: Some(sends), end: end.clone() });
        end
    }

    /// Sends it until it ends in some way; how often that was.
    async fn outcome(&self, request: &Request) -> (i64, End) {
        for sends in 1..=TRIES {
            let Some(answer) = self.client.send(request).await else {
                tokio::time::sleep(Duration::from_millis(15)).await;
                continue;
            };
            match answer.status {
                201 => return (sends, End::Answered(answer)),
                402 => return (sends, End::Refused),
                409 if answer.slug() == "idempotency-request-in-flight" => return (sends, End::LeftBehind),
                503 if !answer.retry_after.is_empty() => tokio::time::sleep(Duration::from_millis(25)).await,
                status => {
                    self.client.findings.add(format!("a question was answered {status} {}", answer.text));
                    return (sends, End::LeftBehind);
                }
            }
        }
        (TRIES, End::LeftBehind)
    }
}

/// What the askers were told.
pub struct Answers {
    log: Vec<Asked>,
    held: u64,
    lost: u64,
}

impl Answers {
    /// Asks for some of the answers once more, which are the same to the byte, and for what was left behind, which is answered
    /// now that nobody holds it.
    async fn again(&mut self, client: &Client) {
        let given = self.log.iter().filter_map(|asked| match &asked.end {
            End::Answered(answer) => Some((asked, answer)),
            _ => None,
        });
        for (asked, first) in given.take(AGAIN) {
            let Some(second) = client.deliver(&asked.request).await else { return };
            let same = (second.status, &second.text, second.replayed) == (first.status, &first.text, true);
            client.findings.expect(same, || format!("a replay of {first:?} differs: {second:?}"));
        }
        let left_behind = self.log.iter_mut().filter(|asked| matches!(asked.end, End::LeftBehind));
        for asked in left_behind.take(AGAIN) {
            let Some(answer) = client.deliver(&asked.request).await else { return };
            asked.sends = None;
            asked.end = match answer.status {
                201 => End::Answered(answer),
                402 => End::Refused,
                status => {
                    client.findings.add(format!("a question left behind was answered {status} {}", answer.text));
                    End::LeftBehind
                }
            };
        }
    }

    /// Holds what was told against the database: each answer is kept once, to the byte, quotes its own tenant, and was charged if
    /// a model gave it, never more often than it was asked for; nothing is reserved any more.
    pub async fn check(&self, owner: &PgPool, findings: &Findings) -> String {
        let (mut given, mut supported, mut refused) = (0, 0, 0);
        for asked in &self.log {
            match &asked.end {
                End::LeftBehind => {}
                End::Refused => refused += 1,
                End::Answered(answer) => {
                    given += 1;
                    supported += usize::from(Self::answer(owner, asked, answer, findings).await);
                }
            }
        }
        let open: (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM docket.model_calls WHERE state = 'reserved'),
                    (SELECT count(*) FROM docket.spending WHERE reserved_nanos <> 0)",
        )
        .fetch_one(owner)
        .await
        .unwrap();
        findings.expect(open == (0, 0), || format!("{open:?} calls and tenants still have something reserved"));
        findings.expect(supported > 0, || "no question at all was answered from a document".to_owned());
        let Self { held, lost, .. } = self;
        format!(
            "{given} questions answered, {supported} of them from documents, {refused} beyond the budget, {held} held by the dead, \
             {lost} calls of the dead charged"
        )
    }

    /// Looks at one answer; whether the documents gave it.
    async fn answer(owner: &PgPool, asked: &Asked, answer: &Answer, findings: &Findings) -> bool {
        let body = answer.json();
        let supported = body["verdict"] == "supported";
        let id: Uuid = body["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default();
        let kept: Vec<(String, Option<String>)> =
            sqlx::query_as("SELECT state, body::text FROM docket.answers WHERE id = $1")
                .bind(id)
                .fetch_all(owner)
                .await
                .unwrap();
        let as_told = kept == [("done".to_owned(), Some(answer.text.clone()))];
        findings.expect(as_told, || format!("an answer that was told is kept as {kept:?}: {}", answer.text));
        findings.expect(!supported || answer.text.contains(&asked.mark), || {
            format!("an answer to {} is from somewhere else: {}", asked.mark, answer.text)
        });
        let cost = body["usage"]["cost_nanos"].as_i64();
        let (calls, of_this_cost, lost): (i64, i64, i64) = sqlx::query_as(
            "SELECT count(*), count(*) FILTER (WHERE outcome = 'complete' AND cost_nanos = $2),
                    count(*) FILTER (WHERE outcome = 'lost')
             FROM docket.model_calls WHERE answer_id = $1",
        )
        .bind(id)
        .bind(cost)
        .fetch_one(owner)
        .await
        .unwrap();
        // A call whose settlement did not reach the database is charged in full, as lost.
        findings.expect(body["model"].is_null() || of_this_cost + lost > 0, || {
            format!("of the {calls} calls of an answer that cost {cost:?} none was charged so: {}", answer.text)
        });
        findings.expect(asked.sends.is_none_or(|sends| calls <= sends), || {
            format!("a question that was sent {:?} times was charged {calls} times", asked.sends)
        });
        supported
    }
}
