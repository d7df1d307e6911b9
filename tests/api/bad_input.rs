//! Bad input gets a clear answer that says what, where and what to do; nothing breaks and nothing leaks.

use docket_domain::principal::Role;
use http::Method;
use serde_json::json;

use crate::support::{Answer, TestApp, complete_case};

async fn raw(app: &TestApp, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter));
    Answer::of(
        request
            .header("idempotency-key", uuid::Uuid::new_v4().to_string())
            .header("content-type", content_type)
            .body(body),
    )
    .await
}

#[tokio::test]
async fn broken_bodies_are_400_with_the_place() {
    let app = TestApp::start().await;
    let deep = "[".repeat(100_000);
    let cases: [&[u8]; 6] =
        [b"{", b"{\"title\": }", b"\xff\xfe", b"{\"a\":1e999}", deep.as_bytes(), b"{\"t\":\"\xc3\x28\"}"];
    for body in cases {
        let problem = raw(&app, "application/json", body.to_vec()).await.assert_problem(400, "malformed-request");
        assert!(problem["detail"].as_str().unwrap().contains("line 1"), "{problem}");
    }
}

#[tokio::test]
async fn another_media_type_is_415_and_a_large_body_413() {
    let app = TestApp::start().await;
    raw(&app, "text/plain", "{}").await.assert_problem(415, "unsupported-media-type");
    raw(&app, "application/json; charset=latin1", "{\"title\":\"x\"}")
        .await
        .assert_problem(415, "unsupported-media-type");
    let large = format!("{{\"title\":\"{}\"}}", "x".repeat(2 << 20));
    raw(&app, "application/json", large).await.assert_problem(413, "payload-too-large");
}

#[tokio::test]
async fn wrong_types_unknown_members_and_bounds_are_422_with_a_pointer_each() {
    let app = TestApp::start().await;
    let body = json!({"title": 5, "severity": "huge", "odd": 1, "attributes": {"a": []}, "respondent": "x".repeat(301), "narrative": "a\u{0}b"});
    let problem = app.post("/v1/cases", Role::Reporter, &body).await.assert_problem(422, "validation-failed");
    let mut pointers: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/attributes/a", "/narrative", "/odd", "/respondent", "/severity", "/title"]);
    for body in [json!([]), json!("x"), json!(null), json!(7)] {
        app.post("/v1/cases", Role::Reporter, &body).await.assert_problem(422, "validation-failed");
    }
}

#[tokio::test]
async fn extreme_numbers_and_odd_text_survive_unharmed() {
    let app = TestApp::start().await;
    let mut body = complete_case();
    body["title"] = json!("\u{1F6A2} “harbour” \u{202e}evil <script>alert(1)</script> ' OR 1=1 --");
    body["attributes"] = json!({"big": 1e300, "int": 9_007_199_254_740_991_i64, "min": -9_007_199_254_740_991_i64, "small": 5e-324, "é": null});
    let created = app.post("/v1/cases", Role::Reporter, &body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let read = app.get(&format!("/v1/cases/{id}"), Role::Reporter).await;
    assert_eq!(read.json()["title"], body["title"]);
    assert_eq!(read.json()["attributes"], body["attributes"]);
    assert_eq!(read.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn an_integer_that_json_would_round_is_refused_by_its_pointer() {
    let app = TestApp::start().await;
    for integer in [json!(9_007_199_254_740_992_i64), json!(i64::MIN), json!(u64::MAX), json!(1e16), json!(-1.5e17)] {
        let mut body = complete_case();
        body["attributes"] = json!({"berth": integer});
        let problem = app.post("/v1/cases", Role::Reporter, &body).await.assert_problem(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], "/attributes/berth");
        assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("send it as a string"), "{problem}");
    }
}

#[tokio::test]
async fn a_parameter_that_an_operation_does_not_know_is_400_everywhere_and_nothing_is_written() {
    // A stranger asks every operation once.
    let app = TestApp::start_with(|config| config.limits.failed_logins_per_minute = 1_000.try_into().unwrap()).await;
    let (case, note) = (app.draft().await["id"].as_str().unwrap().to_owned(), uuid::Uuid::now_v7().to_string());
    let records = "SELECT (SELECT count(*) FROM docket.audit_events) + (SELECT count(*) FROM docket.idempotency_keys)";
    let written = sqlx::query_scalar::<_, i64>(records).fetch_one(&app.superuser().await).await.unwrap();
    let document = app.get("/openapi.json", Role::Supervisor).await.json();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let key = match path.split('/').nth(2) {
            Some("tenants") => &app.operator_key,
            Some("jobs") => app.key(Role::Admin),
            _ => app.key(Role::Supervisor),
        };
        let path = path.replacen("{id}", &case, 1).replace("{destination_id}", &note).replace("{case_id}", &case);
        let path = path.replace("{note_id}", &note).replace("{link_id}", &note).replace("{evidence_id}", &note);
        assert!(!path.contains('{'), "{path}");
        for method in item.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let address = format!("{path}?no_such=1");
            let request = app.request(method.clone(), &address, key).header("if-match", "\"v1\"");
            let request = request.header("idempotency-key", uuid::Uuid::new_v4().to_string());
            let answer = Answer::of(if method == Method::GET { request } else { request.json(&json!({})) }).await;
            assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text);
            let problem = answer.assert_problem(400, "invalid-query");
            assert_eq!(problem["errors"][0]["pointer"], "no_such", "{method} {path}: {problem}");
            let stranger = app.client.request(method.clone(), format!("{}{address}", app.url));
            let stranger = Answer::of(if method == Method::GET { stranger } else { stranger.json(&json!({})) }).await;
            assert_eq!(stranger.status, 401, "{method} {path}: {}", stranger.text);
            asked += 1;
        }
    }
    assert!(asked > 70, "{asked} operations");
    let after = sqlx::query_scalar::<_, i64>(records).fetch_one(&app.superuser().await).await.unwrap();
    assert_eq!(after, written);
}

#[tokio::test]
async fn identifiers_that_are_none_and_paths_that_lead_out_find_nothing() {
    let app = TestApp::start().await;
    for path in [
        "/v1/cases/1",
        "/v1/cases/..%2f..%2fetc%2fpasswd",
        "/v1/cases/%00",
        "/v1/cases/zzz/actions",
        "/v1/nothing",
        "/v1/cases/",
    ] {
        let answer = app.get(path, Role::Supervisor).await;
        answer.assert_problem(404, "not-found");
    }
    let request = app.request(Method::DELETE, "/v1/cases", app.key(Role::Supervisor));
    Answer::of(request).await.assert_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_malformed_traceparent_is_ignored_and_a_valid_one_continued() {
    let app = TestApp::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter)).header("idempotency-key", "a");
    let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    assert_eq!(Answer::of(request.json(&complete_case())).await.status, 201);
    for (number, bad) in
        ["nonsense", "00-0000-00-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"].iter().enumerate()
    {
        let request = app.request(Method::POST, "/v1/cases", app.key(Role::Reporter));
        let request = request.header("idempotency-key", format!("b{number}")).header("traceparent", *bad);
        assert_eq!(Answer::of(request.json(&complete_case())).await.status, 201);
    }
    let traces: Vec<(String,)> =
        sqlx::query_as("SELECT record->>'trace_id' FROM docket.audit_events ORDER BY occurred_at")
            .fetch_all(&app.superuser().await)
            .await
            .unwrap();
    assert_eq!(traces[0].0, trace);
    assert!(traces[1..].iter().all(|(id,)| id.len() == 32 && id != trace));
}

#[tokio::test]
async fn credentials_that_are_missing_or_wrong_are_401_and_alike() {
    let app = TestApp::start().await;
    let good = app.key(Role::Reporter).to_owned();
    let last = if good.ends_with('A') { "B" } else { "A" };
    let tampered = format!("{}{last}", &good[..good.len() - 1]);
    let mut bodies = Vec::new();
    for bad in [tampered.as_str(), "dk_abcdefghijkl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "dk_x"] {
        let answer = Answer::of(app.request(Method::GET, "/v1/cases", bad)).await;
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        let mut body = answer.assert_problem(401, "unauthenticated");
        body["instance"] = json!("");
        bodies.push(body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]), "{bodies:?}");
    let bare = app.client.get(format!("{}/v1/cases", app.url));
    Answer::of(bare).await.assert_problem(401, "unauthenticated");
    let basic = app.client.get(format!("{}/v1/cases", app.url)).basic_auth("a", Some("b"));
    Answer::of(basic).await.assert_problem(401, "unauthenticated");
}
