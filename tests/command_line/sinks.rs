//! What a sink of the platform refuses is administered like what an endpoint refuses: by the API and by `docket outbox`, by
//! the tenant's administrators, each act on the tenant's chain.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket::application::ports::EventSink;
use docket::application::ports::event_feed::StoredEvent;
use docket::application::ports::event_sink::SinkError;
use docket_domain::ids::DestinationId;
use parking_lot::Mutex;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::ground::Ground;
use crate::outbox::{key, post};

/// A sink that refuses every event whose case's version is 2, until it is cured.
#[derive(Default)]
struct Picky {
    refuses: Mutex<HashSet<Uuid>>,
    took: Mutex<BTreeMap<Uuid, Vec<u64>>>,
}

#[async_trait]
impl EventSink for Picky {
    fn name(&self) -> &'static str {
        "picky"
    }

    async fn deliver(&self, events: &[StoredEvent]) -> Vec<(usize, SinkError)> {
        let mut stuck = HashSet::new();
        let mut missed = Vec::new();
        for (place, event) in events.iter().enumerate() {
            let poison = event.sequence == 2 && self.refuses.lock().contains(&event.case_id.0);
            if poison || stuck.contains(&event.case_id) {
                stuck.insert(event.case_id);
                missed.push((place, SinkError::Rejected("too large for the stream".to_owned())));
            } else {
                self.took.lock().entry(event.case_id.0).or_default().push(event.sequence);
            }
        }
        missed
    }
}

impl Picky {
    async fn until_took(&self, case: &str, wanted: &[u64]) {
        let case: Uuid = case.parse().unwrap();
        for _ in 0..1_500 {
            if self.took.lock().get(&case).is_some_and(|took| took == wanted) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("of {case} the sink took {:?} and not {wanted:?} within thirty seconds", self.took.lock().get(&case));
    }
}

/// Waits until so many lanes are like that.
async fn lanes(owner: &PgPool, like: &str, number: i64) {
    let sql = format!("SELECT count(*) FROM docket.delivery_lanes WHERE {like}");
    for _ in 0..1_500 {
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.clone())).fetch_one(owner).await.unwrap();
        if found == number {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not {number} lanes with {like} within thirty seconds");
}

/// Status and body of a request of the administrator, under a key of its own.
async fn sent(request: RequestBuilder, key: &str) -> (u16, Value) {
    let request = request.bearer_auth(key).header("idempotency-key", Uuid::new_v4().to_string());
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn what_a_sink_refuses_parks_its_case_only_and_is_listed_redriven_and_skipped_by_the_tenants_administrators() {
    let sink = Arc::new(Picky::default());
    let change = |config: &mut docket::config::Config| config.relay.poll_interval_ms = 100;
    let ground = Ground::with_sinks(vec![sink.clone()], change).await;
    let owner = PgPool::connect(&ground.database.superuser_url()).await.unwrap();
    ground.ok(&["tenants", "create", "rail", "--display-name", "Rail Oversight Board"]).await;
    let (admin, reporter) = (key(&ground, "admin").await, key(&ground, "reporter").await);
    let mut cases = Vec::new();
    for number in 0..3 {
        let case = post(&ground, "/v1/cases", &reporter, &json!({"title": format!("Loose rail {number}")})).await;
        cases.push(case["id"].as_str().unwrap().to_owned());
    }
    let client = reqwest::Client::new();
    let change = async |case: &str, version: u64| {
        let request = client.patch(format!("{}/v1/cases/{case}", ground.url)).json(&json!({"title": "Looser"}));
        let (status, body) = sent(request.header("if-match", format!("\"v{version}\"")), &reporter).await;
        assert_eq!(status, 200, "{body}");
    };
    sink.refuses.lock().extend(cases[..2].iter().map(|case| case.parse::<Uuid>().unwrap()));
    for case in &cases {
        change(case, 1).await;
        change(case, 2).await;
    }
    sink.until_took(&cases[2], &[1, 2, 3]).await;
    lanes(&owner, "sink = 'picky' AND attempts > 0 AND pending = 2", 2).await;
    // The next attempt is the last.
    sqlx::query("UPDATE docket.delivery_lanes SET attempts = 6, due_at = now()").execute(&owner).await.unwrap();
    lanes(&owner, "sink = 'picky' AND state = 'dead'", 2).await;
    let before = ground.acts("rail").await.len();

    // Listed and inspected, by administrators of the tenant only.
    let outbox = format!("{}/v1/outbox", ground.url);
    let (status, listed) = sent(client.get(format!("{outbox}?state=dead")), &admin).await;
    assert_eq!((status, listed["items"].as_array().unwrap().len()), (200, 2), "{listed}");
    let destination = DestinationId::of_sink("picky").to_string();
    for lane in listed["items"].as_array().unwrap() {
        assert_eq!((&lane["sink"], &lane["destination_id"]), (&json!("picky"), &json!(destination)));
        assert_eq!((&lane["sequence"], &lane["pending"], &lane["attempts"]), (&json!(2), &json!(2), &json!(7)));
        assert!(lane["last_error"].as_str().unwrap().contains("too large for the stream"), "{lane}");
    }
    assert_eq!(sent(client.get(&outbox), &reporter).await.0, 403);
    let by_sink = ["outbox", "list", "--tenant", "rail", "--dead", "--sink", "picky", "--json"];
    assert_eq!(ground.json(&by_sink).await, listed["items"]);
    let other = ["outbox", "list", "--tenant", "rail", "--dead", "--sink", "nats"];
    assert_eq!(ground.ok(&other).await.0.trim(), "nothing waits");
    let (status, lane) = sent(client.get(format!("{outbox}/{destination}/{}", cases[1])), &admin).await;
    assert_eq!((status, &lane["state"]), (200, &json!("dead")));

    // One is put right and tried again; the other is still refused, and then skipped.
    sink.refuses.lock().remove(&cases[0].parse().unwrap());
    let one = json!({"destination_id": destination, "case_id": cases[0]});
    let (status, done) = sent(client.post(format!("{outbox}/redrive")).json(&one), &admin).await;
    assert_eq!((status, &done["redriven"]), (200, &json!(1)), "{done}");
    sink.until_took(&cases[0], &[1, 2, 3]).await;
    let all = ground.json(&["outbox", "redrive", "--tenant", "rail", "--sink", "picky", "--json"]).await;
    assert_eq!(all["redriven"], 1);
    lanes(&owner, "sink = 'picky' AND state = 'ready' AND attempts = 1", 1).await;
    let skip = json!({"event_id": lane["event_id"], "reason": "the broker's owner agreed"});
    let (status, done) =
        sent(client.post(format!("{outbox}/{destination}/{}/skip", cases[1])).json(&skip), &admin).await;
    assert_eq!((status, &done["skipped"]), (200, &json!(true)), "{done}");
    sink.until_took(&cases[1], &[1, 3]).await;
    lanes(&owner, "true", 0).await;

    assert_eq!(ground.acts("rail").await[before..], ["outbox.redrive", "outbox.redrive", "outbox.skip"]);
    let sql = "SELECT record::text FROM docket.audit_events WHERE action = 'outbox.skip'";
    let record: String = sqlx::query_scalar(sql).fetch_one(&owner).await.unwrap();
    assert!(record.contains("the broker's owner agreed") && record.contains(&destination), "{record}");
    let (verified, _) = ground.ok(&["audit", "verify", "--tenant", "rail"]).await;
    assert!(verified.contains("valid") && !verified.contains("NOT"), "{verified}");
}
