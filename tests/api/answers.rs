//! Answers over HTTP: as JSON and as a stream, from documents of the caller's own tenant that the caller may see.

use std::time::Duration;

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sown_document::SownDocument;
use crate::support::{Answer, TestApp};

const LEAKS: &str = "An operator reports a leak of gas within 24 hours of its discovery. The report names the valve.";
const INFORMANTS: &str = "Rewards for informants amount to 900 crowns. They are paid in cash.";
const ASKS: &str = "Within how many hours must a leak of gas be reported?";

/// Puts a document of one passage beneath the service, as an ingestion would have left it.
async fn document(app: &TestApp, tenant: usize, title: &str, text: &str, confidentiality: &str) -> Uuid {
    let owner = app.superuser().await;
    let admin = app.tenants[tenant].principals[&Role::Admin];
    let document = SownDocument { admin, collection: "rules", title, text, confidentiality }.sow(&owner).await;
    owner.close().await;
    document
}

async fn ask(app: &TestApp, key: &str, idempotency_key: &str, question: &str) -> Answer {
    let request = app.request(Method::POST, "/v1/answers", key).header("idempotency-key", idempotency_key);
    Answer::of(request.json(&json!({"question": question}))).await
}

/// Asks until the passages have reached the index of words, which follows the database.
async fn ask_until_found(app: &TestApp, key: &str, question: &str) -> Answer {
    let patience = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask(app, key, &Uuid::new_v4().to_string(), question).await;
        if answer.status != 201 || answer.json()["verdict"] != "not_found" || tokio::time::Instant::now() > patience {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn an_answer_quotes_its_document_and_is_the_same_under_the_same_key() {
    let app = TestApp::start().await;
    let rules = document(&app, 0, "Leaks", LEAKS, "public").await;
    let first = ask_until_found(&app, app.key(Role::Reporter), ASKS).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let body = first.json();
    assert_eq!((body["verdict"].as_str(), body["model"]["provider"].as_str()), (Some("supported"), Some("docket")));
    let citation = &body["citations"][0];
    assert_eq!(citation["document_id"], json!(rules));
    let place = |name: &str| usize::try_from(citation[name].as_u64().unwrap()).unwrap();
    let (from, to) = (place("char_start"), place("char_end"));
    assert_eq!(citation["quote"], json!(LEAKS[from..to]), "the quote stands where the citation says");
    let key = Uuid::new_v4().to_string();
    let once = ask(&app, app.key(Role::Reporter), &key, ASKS).await;
    let again = ask(&app, app.key(Role::Reporter), &key, ASKS).await;
    assert_eq!(
        (once.status, &once.text, once.header("location")),
        (again.status, &again.text, again.header("location"))
    );
    assert_eq!((once.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    let read = app.get(once.header("location"), Role::Reporter).await;
    assert_eq!((read.status, read.text), (200, once.text));
    ask(&app, app.key(Role::Reporter), &key, "Something else about leaks?")
        .await
        .assert_problem(422, "idempotency-key-reused");
    let keyless = app.request(Method::POST, "/v1/answers", app.key(Role::Reporter)).json(&json!({"question": ASKS}));
    Answer::of(keyless).await.assert_problem(400, "idempotency-key-missing");
}

#[tokio::test]
async fn a_stream_tells_each_step_and_ends_with_the_checked_answer() {
    let app = TestApp::start().await;
    document(&app, 0, "Leaks", LEAKS, "public").await;
    ask_until_found(&app, app.key(Role::Reporter), ASKS).await;
    let key = Uuid::new_v4().to_string();
    let stream = || {
        app.request(Method::POST, "/v1/answers", app.key(Role::Reporter))
            .header("idempotency-key", &key)
            .header("accept", "text/event-stream")
            .json(&json!({"question": ASKS}))
    };
    let live = stream().send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    let text = live.text().await.unwrap();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((&names[..3], names.last()), (&["retrieved", "model", "token"][..], Some(&"answer")), "{text}");
    let replayed = stream().send().await.unwrap();
    assert_eq!(replayed.headers()["idempotent-replayed"], "true");
    let replayed = replayed.text().await.unwrap();
    let answer = |text: &str| {
        let (_, end) = text.split_once("event: answer\ndata: ").unwrap();
        end.trim().to_owned()
    };
    assert_eq!(answer(&text), answer(&replayed));
    assert!(answer(&text).contains("\"verdict\":\"supported\""));
}

#[tokio::test]
async fn nobody_is_answered_from_what_they_may_not_see() {
    let app = TestApp::start().await;
    let secret = document(&app, 0, "Informants", INFORMANTS, "restricted").await;
    document(&app, 0, "Leaks", LEAKS, "public").await;
    let asks = "To how many crowns do rewards for informants amount?";
    let seen = ask_until_found(&app, app.key(Role::Supervisor), asks).await;
    assert_eq!(seen.json()["citations"][0]["document_id"], json!(secret), "{}", seen.text);
    for key in [app.key(Role::Reporter), app.key(Role::Caseworker), &app.tenants[1].keys[&Role::Supervisor]] {
        let answer = ask(&app, key, &Uuid::new_v4().to_string(), asks).await;
        // With the unit: the time of the answer may hold the figure by chance.
        assert!(!answer.text.contains("900 crowns") && !answer.text.contains(&secret.to_string()), "{}", answer.text);
        let path = format!("/v1/answers/{}", seen.json()["id"].as_str().unwrap());
        Answer::of(app.request(Method::GET, &path, key)).await.assert_problem(404, "not-found");
    }
    let operator = ask(&app, &app.operator_key, &Uuid::new_v4().to_string(), asks).await;
    assert_eq!(
        (operator.status, operator.json()["verdict"].as_str()),
        (201, Some("not_found")),
        "operators see no documents"
    );
    // The document goes, and with it the answer that quotes it.
    sqlx::query("DELETE FROM docket.documents WHERE id = $1")
        .bind(secret)
        .execute(&app.superuser().await)
        .await
        .unwrap();
    let path = format!("/v1/answers/{}", seen.json()["id"].as_str().unwrap());
    app.get(&path, Role::Supervisor).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn bad_questions_and_judgments_are_told_what_is_wrong() {
    let app = TestApp::start().await;
    for (body, pointer) in [
        (json!({}), "/question"),
        (json!({"question": ""}), "/question"),
        (json!({"question": "the of and?"}), "/question"),
        (json!({"question": "x".repeat(4_001)}), "/question"),
        (json!({"question": 7}), "/question"),
        (json!({"question": "Leaks?", "model": "gpt"}), "/model"),
    ] {
        let answer = app.post("/v1/answers", Role::Reporter, &body).await;
        assert_eq!(answer.assert_problem(422, "validation-failed")["errors"][0]["pointer"], pointer, "{body}");
    }
    let unknown =
        app.post("/v1/answers", Role::Reporter, &json!({"question": "Leaks?", "collection": "no-such"})).await;
    unknown.assert_problem(404, "not-found");
    let none = app.request(Method::PUT, &format!("/v1/answers/{}/feedback", Uuid::now_v7()), app.key(Role::Reporter));
    Answer::of(none.json(&json!({"helpful": true}))).await.assert_problem(404, "not-found");
    app.get("/v1/usage?month=2026-13", Role::Admin).await.assert_problem(400, "invalid-query");
    app.get("/v1/usage", Role::Reporter).await.assert_problem(403, "forbidden");
    app.get("/v1/feedback", Role::Caseworker).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn a_judgment_is_exported_and_the_use_of_models_is_shown() {
    let app = TestApp::start().await;
    document(&app, 0, "Leaks", LEAKS, "public").await;
    let answer = ask_until_found(&app, app.key(Role::Reporter), ASKS).await.json();
    let path = format!("/v1/answers/{}/feedback", answer["id"].as_str().unwrap());
    let judge = |body: Value| Answer::of(app.request(Method::PUT, &path, app.key(Role::Reporter)).json(&body));
    assert_eq!(judge(json!({"helpful": false})).await.status, 204);
    assert_eq!(judge(json!({"helpful": true, "citation": 1, "comment": "just so"})).await.status, 204);
    judge(json!({"helpful": true, "citation": 9})).await.assert_problem(422, "validation-failed");
    judge(json!({"citation": 1})).await.assert_problem(422, "validation-failed");
    let first = app.get("/v1/feedback?limit=1", Role::Supervisor).await.json();
    assert_eq!(
        (first["items"][0]["question"].as_str(), first["items"][0]["helpful"].as_bool()),
        (Some(ASKS), Some(false))
    );
    let next = format!("/v1/feedback?limit=1&cursor={}", first["next"].as_str().unwrap());
    let second = app.get(&next, Role::Supervisor).await.json();
    assert_eq!(second["items"][0]["judged"]["quote"], answer["citations"][0]["quote"]);
    assert!(second.get("next").is_none());
    let usage = app.get("/v1/usage", Role::Admin).await.json();
    assert_eq!((usage["spent_nanos"].as_u64(), usage["models"][0]["provider"].as_str()), (Some(0), Some("docket")));
    let past = app.get("/v1/usage?month=2020-01", Role::Admin).await.json();
    assert_eq!((&past["month"], &past["models"]), (&json!("2020-01"), &json!([])));
}
