//! `docket outbox` against a real receiver: what was given up is listed, shown, sent again, or passed over, and each act
//! stands on the tenant's chain.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::ground::Ground;
use crate::receiver::{Manner, Receiver};

/// A tenant with an endpoint that refuses everything, and cases whose first event was given up.
struct Trouble {
    ground: Ground,
    receiver: Receiver,
    cases: Vec<String>,
    owner: PgPool,
}

impl Trouble {
    async fn new(cases: usize) -> Self {
        let ground = Ground::new_with(|config| {
            config.webhooks.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
            config.webhooks.allow_http = true;
            config.relay.poll_interval_ms = 100;
        })
        .await;
        let receiver = Receiver::start().await;
        receiver.behave(Manner::Says(422, "", "not of our making"));
        ground.ok(&["tenants", "create", "rail", "--display-name", "Rail Oversight Board"]).await;
        let (admin, reporter) = (key(&ground, "admin").await, key(&ground, "reporter").await);
        let endpoint = json!({"name": "desk", "url": receiver.url()});
        post(&ground, "/v1/webhooks", &admin, &endpoint).await;
        let mut made = Vec::new();
        for number in 0..cases {
            let body = json!({"title": format!("Loose rail {number}")});
            made.push(post(&ground, "/v1/cases", &reporter, &body).await["id"].as_str().unwrap().to_owned());
        }
        let owner = PgPool::connect(&ground.database.superuser_url()).await.unwrap();
        let trouble = Self { ground, receiver, cases: made, owner };
        trouble.receiver.wait_for(cases).await;
        trouble.give_up(cases).await;
        trouble
    }

    /// Waits for the first failures, makes the next attempt the last, and waits until so many lanes are dead.
    async fn give_up(&self, dead: usize) {
        self.lanes("attempts = 1", dead).await;
        let sql = "UPDATE docket.delivery_lanes SET attempts = 7, due_at = now()";
        sqlx::query(sql).execute(&self.owner).await.unwrap();
        self.lanes("state = 'dead'", dead).await;
    }

    /// Waits until so many lanes are like that.
    async fn lanes(&self, like: &str, number: usize) {
        for _ in 0..1_500 {
            let sql = format!("SELECT count(*) FROM docket.delivery_lanes WHERE {like}");
            let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&self.owner).await.unwrap();
            if usize::try_from(found).unwrap() == number {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not {number} lanes with {like} within thirty seconds");
    }

    async fn dead(&self) -> Vec<Value> {
        let listed = self.ground.json(&["outbox", "list", "--tenant", "rail", "--dead", "--json"]).await;
        listed.as_array().unwrap().clone()
    }

    /// Waits until the receiver has got so many messages about a case.
    async fn told(&self, case: &str, times: usize) {
        for _ in 0..1_500 {
            let about = self.receiver.received().iter().filter(|one| one.event()["subject"] == case).count();
            if about >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not {times} messages about {case} within thirty seconds");
    }
}

pub async fn key(ground: &Ground, role: &str) -> String {
    let (key, _) =
        ground.ok(&["keys", "create", "--tenant", "rail", "--role", role, "--name", role, "--secret-only"]).await;
    key.trim().to_owned()
}

pub async fn post(ground: &Ground, path: &str, key: &str, body: &Value) -> Value {
    let request = reqwest::Client::new().post(format!("{}{path}", ground.url)).bearer_auth(key);
    let answer = request.header("idempotency-key", Uuid::new_v4().to_string()).json(body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    answer.json().await.unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test]
async fn what_was_given_up_is_listed_shown_redriven_or_skipped_and_every_act_is_audited() {
    let trouble = Trouble::new(3).await;
    let ground = &trouble.ground;
    let before = ground.acts("rail").await.len();
    let dead = trouble.dead().await;
    assert_eq!(dead.len(), 3);
    let (table, _) = ground.ok(&["outbox", "list", "--tenant", "rail", "--dead"]).await;
    assert!(table.starts_with("SINK") && table.contains("HTTP 422"), "{table}");
    assert!(trouble.cases.iter().all(|case| table.contains(case)), "{table}");

    let lane = dead.iter().find(|lane| lane["case_id"] == trouble.cases[0]).unwrap();
    let destination = text(&lane["destination_id"]).to_owned();
    let shown = ground.json(&["outbox", "show", "--tenant", "rail", &destination, &trouble.cases[0]]).await;
    assert_eq!(&shown, lane);
    assert_eq!((&shown["attempts"], &shown["pending"], &shown["state"]), (&json!(8), &json!(1), &json!("dead")));

    trouble.receiver.behave(Manner::Says(204, "", ""));
    let one = ["outbox", "redrive", "--tenant", "rail", "--destination", &destination, "--case", &trouble.cases[0]];
    assert_eq!(ground.ok(&one).await.0.trim(), "1 redriven");
    trouble.told(&trouble.cases[0], 3).await;
    assert_eq!(trouble.dead().await.len(), 2, "the others were not asked for");

    let skipped = trouble.dead().await[0].clone();
    let (case, event) = (text(&skipped["case_id"]).to_owned(), text(&skipped["event_id"]).to_owned());
    let skip = ["outbox", "skip", "--tenant", "rail", &destination, &case, "--event", &event];
    let (out, _) = ground.ok(&[&skip[..], &["--reason", "the receiver agreed"]].concat()).await;
    assert_eq!(out.trim(), format!("{event} skipped"));
    let told = trouble.receiver.received().iter().filter(|one| one.event()["subject"] == *case).count();

    assert_eq!(ground.json(&["outbox", "redrive", "--tenant", "rail", "--json"]).await["redriven"], 1);
    let last = trouble.cases[1..].iter().find(|other| **other != case).unwrap();
    trouble.told(last, 3).await;
    let after = trouble.receiver.received().iter().filter(|one| one.event()["subject"] == *case).count();
    assert_eq!(after, told, "what was skipped is not sent");
    assert_eq!(ground.acts("rail").await[before..], ["outbox.redrive", "outbox.skip", "outbox.redrive"]);
    let sql = "SELECT record::text FROM docket.audit_events WHERE action = 'outbox.skip'";
    let record: String = sqlx::query_scalar(sql).fetch_one(&trouble.owner).await.unwrap();
    assert!(record.contains("the receiver agreed") && record.contains(&event), "{record}");
    let (verified, _) = ground.ok(&["audit", "verify", "--tenant", "rail"]).await;
    assert!(verified.contains("valid") && !verified.contains("NOT"), "{verified}");
}

#[tokio::test]
async fn a_skip_of_what_is_not_the_head_or_without_a_reason_changes_nothing() {
    let trouble = Trouble::new(1).await;
    let ground = &trouble.ground;
    let before = ground.acts("rail").await;
    let lane = trouble.dead().await[0].clone();
    let (destination, case) = (text(&lane["destination_id"]).to_owned(), text(&lane["case_id"]).to_owned());
    let other = Uuid::now_v7().to_string();
    let skip = ["outbox", "skip", "--tenant", "rail", &destination, &case, "--event"];
    let wrong = ground.fails(&[&skip[..], &[&other, "--reason", "agreed"]].concat()).await;
    assert_eq!(wrong.0, Some(1), "{}", wrong.1);
    let event = text(&lane["event_id"]);
    for reason in [&["--reason", " "][..], &[]] {
        let (code, said) = ground.fails(&[&skip[..], &[event], reason].concat()).await;
        assert_eq!(code, Some(2), "{said}");
    }
    let (code, said) = ground.fails(&["outbox", "show", "--tenant", "rail", &destination, &other]).await;
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(trouble.dead().await, [lane]);
    assert_eq!(ground.acts("rail").await, before);
}
