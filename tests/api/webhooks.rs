//! Webhooks from the outside: registered over the API, delivered to a real receiver, checked by its own log.

use docket::config::{Config, ProcessRole};
use docket_domain::principal::Role;
use serde_json::{Value, json};

use crate::receiver::{Manner, Received, Receiver};
use crate::support::{Answer, TestApp};

pub fn local(config: &mut Config) {
    config.server.role = ProcessRole::All;
    config.webhooks.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    config.webhooks.allow_http = true;
    config.webhooks.timeout_ms = 1_000;
    config.relay.poll_interval_ms = 100;
}

async fn start() -> (TestApp, Receiver) {
    (TestApp::start_with(local).await, Receiver::start().await)
}

pub async fn register(app: &TestApp, url: &str) -> Value {
    let answer = app.post("/v1/webhooks", Role::Admin, &json!({"name": "desk", "url": url})).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

async fn log_of(app: &TestApp, endpoint: &Value) -> Vec<Value> {
    let path = format!("/v1/webhooks/{}/deliveries?limit=200", endpoint["id"].as_str().unwrap());
    app.get(&path, Role::Admin).await.json()["items"].as_array().unwrap().clone()
}

/// Waits until the log holds so many attempts.
pub async fn attempts(app: &TestApp, endpoint: &Value, number: usize) -> Vec<Value> {
    for _ in 0..1_000 {
        let log = log_of(app, endpoint).await;
        if log.len() >= number {
            return log;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("not {number} attempts within twenty seconds");
}

/// The lane of a case, once a failed attempt is settled: its line in the log comes a moment earlier.
pub async fn settled_lane(app: &TestApp, case: &Value) -> Value {
    for _ in 0..1_000 {
        let lanes = app.get("/v1/outbox", Role::Admin).await.json();
        let failed = |lane: &&Value| lane["case_id"] == *case && lane["last_error"].is_string();
        if let Some(lane) = lanes["items"].as_array().unwrap().iter().find(failed) {
            return lane.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("not settled within twenty seconds");
}

fn ids_of(received: &[Received]) -> Vec<(String, String)> {
    let of = |one: &Received| {
        let event = one.event();
        (event["subject"].as_str().unwrap().to_owned(), event["sequence"].as_str().unwrap().to_owned())
    };
    received.iter().map(of).collect()
}

#[tokio::test]
async fn an_event_arrives_signed_and_in_its_envelope_and_stands_in_the_log() {
    let (app, receiver) = start().await;
    let endpoint = register(&app, &receiver.url()).await;
    let case = app.draft().await;
    let id = case["id"].as_str().unwrap().to_owned();
    assert_eq!(app.command(&id, Role::Reporter, &json!({"command": "submit"})).await.status, 200);
    let arrived = receiver.wait_for(2).await;
    assert_eq!(ids_of(&arrived), [(id.clone(), "1".to_owned()), (id.clone(), "2".to_owned())]);
    let event = arrived[1].event();
    assert_eq!((&event["type"], &event["specversion"]), (&json!("docket.case.submitted"), &json!("1.0")));
    assert_eq!(event["id"].as_str().unwrap(), arrived[1].header("webhook-id"));
    assert_eq!(&arrived[1].header("traceparent")[..36], &format!("{}-", &event["traceparent"].as_str().unwrap()[..35]));
    verify_with_public_libraries(&endpoint["secret"], &arrived).await;
    let log = attempts(&app, &endpoint, 2).await;
    assert!(log.iter().all(|line| line["outcome"] == "delivered" && line["status"] == 204), "{log:?}");
    let waiting = app.get("/v1/outbox", Role::Admin).await.json();
    assert_eq!(waiting["items"], json!([]));
}

async fn verify_with_public_libraries(secret: &Value, received: &[Received]) {
    let output = judged(secret, received).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Whether the public libraries accept every message under this secret.
pub async fn is_verified(secret: &Value, received: &[Received]) -> bool {
    let output = judged(secret, received).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || said.contains("WebhookVerificationError"), "{said}");
    output.status.success()
}

/// The public libraries are the judges: `standardwebhooks` of the signature, `cloudevents` of the envelope.
async fn judged(secret: &Value, received: &[Received]) -> std::process::Output {
    let script = "
import json, sys
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from standardwebhooks.webhooks import Webhook
given = json.load(sys.stdin)
for one in given['received']:
    Webhook(given['secret']).verify(one['body'], one['headers'])
    event = from_structured_event(HTTPMessage(headers=one['headers'], body=one['body'].encode()))
    assert event.get_specversion() == '1.0' and event.get_id() == one['headers']['webhook-id'], event
    event.get_time(), event.get_source(), event.get_subject()
    try:
        Webhook(given['secret']).verify(one['body'] + ' ', one['headers'])
    except Exception:
        continue
    raise SystemExit('a changed body was verified')
print('verified', len(given['received']))
";
    let python = crate::database_support::database::project_root().join(".venv/bin/python");
    let given: Vec<Value> = received.iter().map(|one| json!({"headers": one.headers, "body": one.body})).collect();
    let given = json!({"secret": secret, "received": given}).to_string();
    let mut child = tokio::process::Command::new(python)
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut child.stdin.take().unwrap(), given.as_bytes()).await.unwrap();
    child.wait_with_output().await.unwrap()
}

#[tokio::test]
async fn while_a_secret_is_rotated_messages_carry_both_signatures() {
    let (app, receiver) = start().await;
    let endpoint = register(&app, &receiver.url()).await;
    receiver.behave(Manner::Says(500, "", ""));
    app.draft().await;
    receiver.wait_for(1).await;
    let path = format!("/v1/webhooks/{}/rotate-secret", endpoint["id"].as_str().unwrap());
    let rotated = app.post(&path, Role::Admin, &json!({"overlap_seconds": 3600})).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert_ne!(rotated.json()["secret"], endpoint["secret"]);
    receiver.behave(Manner::Says(200, "", "thanks"));
    // The retry of the event that failed before the rotation.
    let arrived = receiver.wait_for(2).await;
    assert_eq!(arrived[1].header("webhook-signature").split(' ').count(), 2);
    assert_eq!(arrived[0].header("webhook-id"), arrived[1].header("webhook-id"));
    verify_with_public_libraries(&endpoint["secret"], &arrived[1..]).await;
    verify_with_public_libraries(&rotated.json()["secret"], &arrived[1..]).await;
    let shown = app.get(&format!("/v1/webhooks/{}", endpoint["id"].as_str().unwrap()), Role::Admin).await;
    assert!(!shown.text.contains("whsec_"), "{}", shown.text);
    let owner = app.superuser().await;
    let sealed: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT sealed FROM docket.webhook_secrets").fetch_all(&owner).await.unwrap();
    assert_eq!(sealed.len(), 2);
    let audit: String = sqlx::query_scalar("SELECT string_agg(record::text, '') FROM docket.audit_events")
        .fetch_one(&owner)
        .await
        .unwrap();
    assert!(!audit.contains("whsec_"), "a secret stands in the audit trail");
}

#[tokio::test]
async fn poison_parks_its_own_case_and_can_be_redriven_or_skipped() {
    let (app, receiver) = start().await;
    let endpoint = register(&app, &receiver.url()).await;
    let (sick, well) = (app.draft().await, app.draft().await);
    let (sick, well) = (sick["id"].as_str().unwrap().to_owned(), well["id"].as_str().unwrap().to_owned());
    receiver.wait_for(2).await;
    receiver.poison(&sick);
    for id in [&sick, &well] {
        assert_eq!(app.command(id, Role::Reporter, &json!({"command": "submit"})).await.status, 200);
    }
    attempts(&app, &endpoint, 4).await;
    settled_lane(&app, &json!(sick)).await;
    let owner = app.superuser().await;
    sqlx::query("UPDATE docket.delivery_lanes SET attempts = 7, due_at = now()").execute(&owner).await.unwrap();
    attempts(&app, &endpoint, 5).await;
    for id in [&sick, &well] {
        let note = json!({"command": "add_note", "body": "More"});
        assert_eq!(app.command(id, Role::Reporter, &note).await.status, 200);
    }
    let log = attempts(&app, &endpoint, 6).await;
    assert_eq!((&log[0]["case_id"], &log[0]["outcome"]), (&json!(well), &json!("delivered")));
    let dead = dead_lanes(&app, 2).await;
    assert_eq!((&dead["case_id"], &dead["attempts"], &dead["sequence"]), (&json!(sick), &json!(8), &json!(2)));
    let place = format!("/v1/outbox/{}/{sick}", endpoint["id"].as_str().unwrap());
    assert_eq!(app.get(&place, Role::Admin).await.json(), dead);
    for role in [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor] {
        assert_eq!(app.get("/v1/outbox", role).await.status, 403);
        assert_eq!(app.post("/v1/outbox/redrive", role, &json!({})).await.status, 403);
    }
    let stranger = Answer::of(app.request(http::Method::GET, &place, &app.tenants[1].keys[&Role::Admin])).await;
    assert_eq!(stranger.status, 404);
    let redriven = app.post("/v1/outbox/redrive", Role::Admin, &json!({})).await;
    assert_eq!(redriven.json()["redriven"], 1, "{}", redriven.text);
    attempts(&app, &endpoint, 7).await;
    settled_lane(&app, &json!(sick)).await;
    sqlx::query("UPDATE docket.delivery_lanes SET attempts = 7, due_at = now()").execute(&owner).await.unwrap();
    let dead = dead_lanes(&app, 2).await;
    receiver.cure();
    let wrong = json!({"event_id": endpoint["id"], "reason": "Agreed"});
    app.post(&format!("{place}/skip"), Role::Admin, &wrong).await.assert_problem(409, "conflict");
    let skip = json!({"event_id": dead["event_id"], "reason": "Agreed with the receiver"});
    let skipped = app.post(&format!("{place}/skip"), Role::Admin, &skip).await;
    assert_eq!(skipped.status, 200, "{}", skipped.text);
    attempts(&app, &endpoint, 9).await;
    let last = receiver.received().last().unwrap().event();
    assert_eq!((&last["subject"], &last["sequence"]), (&json!(sick), &json!("3")));
    let trail = app.get("/v1/audit?limit=50", Role::Auditor).await.text;
    for word in ["outbox.redrive", "outbox.skip", "Agreed with the receiver", "webhook.create"] {
        assert!(trail.contains(word), "{word} is not in the audit trail: {trail}");
    }
}

async fn dead_lanes(app: &TestApp, pending: u64) -> Value {
    for _ in 0..500 {
        let page = app.get("/v1/outbox?state=dead", Role::Admin).await.json();
        if page["items"][0]["pending"] == pending {
            return page["items"][0].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no dead lane with {pending} deliveries within ten seconds");
}

#[tokio::test]
async fn gone_disables_the_endpoint_and_a_redirect_is_not_followed() {
    let (app, receiver, elsewhere) = {
        let (app, receiver) = start().await;
        (app, receiver, Receiver::start().await)
    };
    let endpoint = register(&app, &receiver.url()).await;
    let location: &'static str = Box::leak(format!("location: {}\r\n", elsewhere.url()).into_boxed_str());
    receiver.behave(Manner::Says(307, location, ""));
    app.draft().await;
    let log = attempts(&app, &endpoint, 1).await;
    assert_eq!((&log[0]["outcome"], &log[0]["status"]), (&json!("rejected"), &json!(307)));
    assert_eq!(elsewhere.connections(), 0);
    receiver.behave(Manner::Says(410, "", "gone"));
    app.draft().await;
    let path = format!("/v1/webhooks/{}", endpoint["id"].as_str().unwrap());
    for _ in 0..500 {
        if app.get(&path, Role::Admin).await.json()["enabled"] == false {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let shown = app.get(&path, Role::Admin).await.json();
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("gone")));
}

#[tokio::test]
async fn endpoints_that_hang_drip_crawl_or_flood_cost_bounded_time_and_memory() {
    let (app, receiver) = start().await;
    let endpoint = register(&app, &receiver.url()).await;
    let path = format!("/v1/webhooks/{}/test", endpoint["id"].as_str().unwrap());
    for (manner, outcome) in [
        (Manner::Hangs, "outage"),
        (Manner::Crawls, "outage"),
        (Manner::Drips, "delivered"),
        (Manner::Floods, "delivered"),
        (Manner::Says(429, "retry-after: 7\r\n", ""), "outage"),
        (Manner::Says(500, "", "oops"), "rejected"),
    ] {
        receiver.behave(manner.clone());
        let began = std::time::Instant::now();
        let answer = app.post(&path, Role::Admin, &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let line = answer.json();
        assert_eq!(line["outcome"], outcome, "{manner:?}: {line}");
        assert!(line["detail"].as_str().unwrap_or_default().len() <= 1_000);
        assert!(began.elapsed() < std::time::Duration::from_secs(4), "{manner:?}: {:?}", began.elapsed());
    }
    let log = log_of(&app, &endpoint).await;
    assert_eq!(log.len(), 6);
    // Each stands on the tenant's chain, before it was sent, and a refused one, too.
    assert_eq!(app.post(&path, Role::Caseworker, &json!({})).await.status, 403);
    let trail = app.get("/v1/audit?limit=50", Role::Auditor).await.json();
    let tests: Vec<&Value> =
        trail["items"].as_array().unwrap().iter().filter(|record| record["action"] == "webhook.test").collect();
    let outcomes = |wanted: &str| tests.iter().filter(|record| record["outcome"] == wanted).count();
    assert_eq!((outcomes("allowed"), outcomes("denied")), (6, 1), "{trail}");
    for line in &log {
        assert!(tests.iter().any(|record| record["after"]["event_id"] == line["event_id"]), "{line}");
    }
}

#[tokio::test]
async fn retry_after_moves_the_next_attempt() {
    let (app, receiver) = start().await;
    register(&app, &receiver.url()).await;
    receiver.behave(Manner::Says(429, "retry-after: 120\r\n", ""));
    let case = app.draft().await;
    receiver.wait_for(1).await;
    let lane = settled_lane(&app, &case["id"]).await;
    let due =
        time::OffsetDateTime::parse(lane["due_at"].as_str().unwrap(), &time::format_description::well_known::Rfc3339);
    let wait = (due.unwrap() - time::OffsetDateTime::now_utc()).whole_seconds();
    assert!((110..=120).contains(&wait), "{wait} s: {lane}");
}

#[tokio::test]
async fn a_replayed_range_is_sent_again_under_the_same_ids_and_only_wanted_types_are_sent() {
    let (app, receiver) = start().await;
    let body = json!({"name": "desk", "url": receiver.url(), "event_types": ["docket.case.created"]});
    let endpoint = app.post("/v1/webhooks", Role::Admin, &body).await.json();
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    assert_eq!(app.command(&id, Role::Reporter, &json!({"command": "submit"})).await.status, 200);
    app.draft().await;
    let first = receiver.wait_for(2).await;
    let path = format!("/v1/webhooks/{}/replay", endpoint["id"].as_str().unwrap());
    let range = json!({"from": "2000-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"});
    let report = app.post(&path, Role::Admin, &range).await;
    assert_eq!(report.json()["events"], 2, "{}", report.text);
    let again = receiver.wait_for(4).await;
    let mut sent: Vec<_> = again[2..].iter().map(|one| one.header("webhook-id").to_owned()).collect();
    let mut before: Vec<_> = first.iter().map(|one| one.header("webhook-id").to_owned()).collect();
    sent.sort();
    before.sort();
    assert_eq!(sent, before);
    let backwards = json!({"from": "2100-01-01T00:00:00Z", "until": "2000-01-01T00:00:00Z"});
    app.post(&path, Role::Admin, &backwards).await.assert_problem(422, "validation-failed");
}

#[tokio::test]
async fn addresses_inside_the_house_are_refused_at_registration() {
    let app = TestApp::start().await;
    for url in [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://[::ffff:169.254.169.254]/",
        "http://example.org/",
        "ftp://example.org/",
        "https://u:p@example.org/",
        "not a url",
        "https://10.0.0.1:8443/x",
    ] {
        let answer = app.post("/v1/webhooks", Role::Admin, &json!({"name": "x", "url": url})).await;
        let problem = answer.assert_problem(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], "/url", "{url}: {problem}");
    }
    for role in [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor] {
        let answer = app.post("/v1/webhooks", role, &json!({"name": "x", "url": "https://example.org/"})).await;
        assert_eq!(answer.status, 403, "{role}");
    }
}
