//! Enrichment from end to end: a submitted case, the relay, a job, a real register over HTTP on good and bad days, and the
//! answer on the case.

use std::time::{Duration, Instant};

use docket::config::ProcessRole;
use docket::entrypoints::http::register::{Behaviour, Mode, Register};
use docket_domain::principal::Role;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{TestApp, complete_case};

struct World {
    app: TestApp,
    register: Register,
    owner: PgPool,
    _stop: DropGuard,
}

impl World {
    /// The service with a register that behaves like this.
    async fn start(behaviour: Behaviour) -> Self {
        let register = Register::new().unwrap();
        register.behave(behaviour);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(register.clone().serve(listener, stop.clone()));
        let app = TestApp::start_with(|config| {
            config.server.role = ProcessRole::All;
            config.worker.poll_ms = 50;
            config.relay.poll_interval_ms = 100;
            config.enrichment.url = Some(url);
            config.enrichment.timeout_ms = 2_000;
            config.enrichment.requests_per_second = 1_000.try_into().unwrap();
        })
        .await;
        let owner = app.superuser().await;
        Self { app, register, owner, _stop: stop.drop_guard() }
    }

    /// A submitted case about this respondent.
    async fn submitted(&self, respondent: &str) -> String {
        let mut case = complete_case();
        case["respondent"] = respondent.into();
        let draft = self.app.post("/v1/cases", Role::Reporter, &case).await.json();
        let id = draft["id"].as_str().unwrap().to_owned();
        let answer = self.app.command(&id, Role::Reporter, &json!({"command": "submit"})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        id
    }

    async fn entries(&self, id: &str) -> Vec<Value> {
        let answer = self.app.get(&format!("/v1/cases/{id}/register-entries"), Role::Caseworker).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["items"].as_array().unwrap().clone()
    }

    async fn until_entries(&self, id: &str, number: usize) -> Vec<Value> {
        until("the register's answer", async || {
            let entries = self.entries(id).await;
            (entries.len() >= number).then_some(entries)
        })
        .await
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.owner).await.unwrap()
    }

    /// What the one job says of itself: attempts and the last error.
    async fn job(&self) -> Option<(i32, String)> {
        let sql =
            "SELECT attempt::int4, last_error FROM docket.jobs WHERE kind = 'enrich_case' AND last_error IS NOT NULL";
        sqlx::query_as(sql).fetch_optional(&self.owner).await.unwrap()
    }

    async fn until_no_jobs(&self) {
        until("the end of all jobs", async || {
            (self.count("SELECT count(*) FROM docket.jobs WHERE kind = 'enrich_case'").await == 0).then_some(())
        })
        .await;
    }
}

/// Waits until `look` finds something, at most a minute.
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    while began.elapsed() < Duration::from_mins(1) {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not within a minute: {what}");
}

#[tokio::test]
async fn a_submitted_case_gets_what_the_register_says_by_an_audited_act() {
    let world = World::start(Behaviour::of(Mode::Ok)).await;
    let (known, unknown) = (world.submitted("verity  DREDGING").await, world.submitted("Nobody & Sons").await);
    let entries = world.until_entries(&known, 1).await;
    assert_eq!(entries[0]["asked_name"], "verity  DREDGING");
    assert_eq!(entries[0]["company"]["name"].as_str().unwrap().split(' ').next(), Some("Verity"));
    assert_eq!(world.until_entries(&unknown, 1).await[0]["company"], Value::Null, "not to be known is an answer");
    let case = world.app.get(&format!("/v1/cases/{known}"), Role::Caseworker).await.json();
    assert_eq!((&case["version"], &case["state"]), (&3.into(), &"submitted".into()));
    let trail = world.app.get(&format!("/v1/cases/{known}/audit"), Role::Auditor).await.json();
    let act = trail["items"].as_array().unwrap().iter().find(|act| act["action"] == "case.enrich").unwrap().clone();
    assert_eq!((&act["actor_type"], &act["outcome"]), (&"system".into(), &"allowed".into()), "{act}");
    assert!(act["reason"].as_str().unwrap().contains("Verity Dredging"), "{act}");
    let verified = world.app.get(&format!("/v1/cases/{known}/audit/verify"), Role::Auditor).await.json();
    assert_eq!(verified["valid"], true, "{verified}");
    world.until_no_jobs().await;
    assert_eq!(world.count("SELECT count(*) FROM docket.outbox_events WHERE type = 'case.enriched'").await, 2);
    assert_eq!(world.count("SELECT count(*) FROM docket.finished_jobs WHERE kind = 'enrich_case'").await, 0);

    // Another respondent is another question; the same one is not asked about again.
    let etag = format!("\"v{}\"", case["version"]);
    let request =
        world.app.request(http::Method::PATCH, &format!("/v1/cases/{known}"), world.app.key(Role::Caseworker));
    let body = json!({"respondent": "Tern Island Pilots"});
    assert_eq!(request.header("if-match", etag).json(&body).send().await.unwrap().status(), 200);
    let entries = world.until_entries(&known, 2).await;
    assert_eq!(entries[0]["asked_name"], "Tern Island Pilots", "the newest first");
    assert_eq!(
        world.app.command(&known, Role::Caseworker, &json!({"command": "add_note", "body": "x"})).await.status,
        200
    );
    world.until_no_jobs().await;
    assert_eq!(world.register.asked(), 3);
}

#[tokio::test]
async fn the_same_event_three_times_is_one_change() {
    let world = World::start(Behaviour::of(Mode::Ok)).await;
    let id = world.submitted("Verity Dredging").await;
    world.until_entries(&id, 1).await;
    for _ in 0..2 {
        // The relay begins from the start again, as if it had died before it could move its cursor.
        let sql = "UPDATE docket.relay_cursors SET transaction_id = '0', leased_until = now() - interval '1 second'
                   WHERE reader = 'enrichment' AND transaction_id <> '0'";
        until("the cursor", async || {
            (sqlx::query(sql).execute(&world.owner).await.unwrap().rows_affected() == 1).then_some(())
        })
        .await;
        until("the events to be handed on again", async || {
            let sql = "SELECT count(*) FROM docket.relay_cursors WHERE reader = 'enrichment' AND transaction_id > '0'";
            (world.count(sql).await == 1).then_some(())
        })
        .await;
        world.until_no_jobs().await;
    }
    assert_eq!(world.entries(&id).await.len(), 1);
    assert_eq!(world.app.get(&format!("/v1/cases/{id}"), Role::Caseworker).await.json()["version"], 3);
    assert_eq!(world.count("SELECT count(*) FROM docket.outbox_events WHERE type = 'case.enriched'").await, 1);
    assert_eq!(world.count("SELECT count(*) FROM docket.audit_events WHERE action = 'case.enrich'").await, 1);
}

#[tokio::test]
async fn a_slow_register_is_given_up_in_time_and_asked_again() {
    let world = World::start(Behaviour { delay_ms: 60_000, ..Behaviour::of(Mode::Slow) }).await;
    let id = world.submitted("Verity Dredging").await;
    let (_, error) = until("the first failure", async || world.job().await).await;
    assert!(error.contains("does not answer in time"), "{error}");
    world.register.behave(Behaviour::of(Mode::Ok));
    world.until_entries(&id, 1).await;
}

#[tokio::test]
async fn a_flaky_register_is_asked_until_it_answers() {
    let world = World::start(Behaviour { failures_of_ten: 7, ..Behaviour::of(Mode::Flaky) }).await;
    let mut cases = Vec::new();
    for respondent in ["Verity Dredging", "Pell Point Marina", "Dunmere Fish Dock", "Ashdale Freight"] {
        cases.push(world.submitted(respondent).await);
    }
    for id in &cases {
        assert_eq!(world.until_entries(id, 1).await.len(), 1);
    }
    assert_eq!(world.count("SELECT count(*) FROM docket.finished_jobs WHERE kind = 'enrich_case'").await, 0);
}

#[tokio::test]
async fn a_register_that_is_down_is_left_alone_and_no_look_up_is_given_up_for_it() {
    let world = World::start(Behaviour::of(Mode::Down)).await;
    let mut cases = Vec::new();
    for number in 0..6 {
        cases.push(world.submitted(&format!("Company {number}")).await);
    }
    until("the breaker to open", async || {
        let ready: Value =
            world.app.client.get(format!("{}/readyz", world.app.url)).send().await.ok()?.json().await.ok()?;
        let check = ready["checks"].as_array()?.iter().find(|check| check["name"] == "company_register")?.clone();
        (check["state"] == "down" && ready["status"] == "degraded").then_some(())
    })
    .await;
    until("every look-up to be put back", async || {
        let sql = "SELECT count(*) FROM docket.jobs WHERE kind = 'enrich_case' AND last_error LIKE '%left alone%'";
        (world.count(sql).await >= 1).then_some(())
    })
    .await;
    let most = world.count("SELECT max(attempt)::bigint FROM docket.jobs WHERE kind = 'enrich_case'").await;
    assert!(most <= 3, "what waits for a register that is down is not counted: {most}");
    let asked = world.register.asked();
    assert!(asked < 5 + 6 * 3, "the breaker keeps it from being asked again and again: {asked}");
    world.register.behave(Behaviour::of(Mode::Ok));
    for id in &cases {
        world.until_entries(id, 1).await;
    }
}

#[tokio::test]
async fn a_register_that_asks_for_time_gets_it_and_nothing_is_counted() {
    let down = Behaviour { retry_after_seconds: Some(2), ..Behaviour::of(Mode::Down) };
    let world = World::start(down).await;
    let id = world.submitted("Verity Dredging").await;
    let (attempt, error) = until("the first failure", async || world.job().await).await;
    assert_eq!(attempt, 0, "{error}");
    assert_eq!(world.register.asked(), 1, "no quick repetition against its wish");
    world.register.behave(Behaviour::of(Mode::Ok));
    world.until_entries(&id, 1).await;
}

#[tokio::test]
async fn a_register_that_asks_for_all_time_is_asked_again_within_the_hour() {
    let down = Behaviour { retry_after_seconds: Some(u64::MAX), ..Behaviour::of(Mode::Down) };
    let world = World::start(down).await;
    world.submitted("Verity Dredging").await;
    assert_eq!(until("the first failure", async || world.job().await).await.0, 0);
    let minutes =
        "SELECT (extract(epoch FROM run_at - now()) / 60)::bigint FROM docket.jobs WHERE kind = 'enrich_case'";
    let minutes = world.count(minutes).await;
    assert!((50..=70).contains(&minutes), "asked again in {minutes} minutes");
}

#[tokio::test]
async fn nonsense_and_a_gigabyte_are_bounded_failures_and_change_nothing() {
    let world = World::start(Behaviour::of(Mode::Garbage)).await;
    let id = world.submitted("Verity Dredging").await;
    let (_, error) = until("the first failure", async || world.job().await).await;
    assert!(error.contains("answers with nonsense"), "{error}");
    world.register.behave(Behaviour::of(Mode::Flood));
    until("a flood", async || {
        let (_, error) = world.job().await?;
        error.contains("more than 65536 bytes").then_some(())
    })
    .await;
    let asked = world.register.asked();
    let sent = world.register.sent_bytes();
    assert!(
        sent < (asked + 1) * 16 * 1024 * 1024,
        "the connection is dropped at the bound: {sent} bytes in {asked} answers"
    );
    assert!(world.entries(&id).await.is_empty());
    world.register.behave(Behaviour::of(Mode::Ok));
    assert_eq!(world.until_entries(&id, 1).await.len(), 1);
}
