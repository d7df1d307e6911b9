//! What hangs on a case: notes in pages, links only where both ends may be seen.

use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{Answer, TestApp, complete_case};

#[tokio::test]
async fn notes_come_in_pages_oldest_first_and_each_stands_where_its_location_says() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    for (version, body) in ["one", "two", "three"].iter().enumerate() {
        let request = app.request(Method::POST, &format!("/v1/cases/{id}/notes"), app.key(Role::Reporter));
        let request = request.header("if-match", format!("\"v{}\"", version + 1)).header("idempotency-key", *body);
        let answer = Answer::of(request.json(&json!({"body": body}))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let note = app.get(answer.header("location"), Role::Reporter).await;
        assert_eq!((note.status, &note.json()["body"], &note.json()["kind"]), (200, &json!(body), &json!("note")));
    }
    let first = app.get(&format!("/v1/cases/{id}/notes?limit=2"), Role::Auditor).await.json();
    let next = first["next"].as_str().unwrap();
    let second = app.get(&format!("/v1/cases/{id}/notes?limit=2&cursor={next}"), Role::Auditor).await.json();
    let bodies: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|note| note["body"].clone())
        .collect();
    assert_eq!(bodies, ["one", "two", "three"]);
    assert!(second["next"].is_null());
    let other = app.draft().await["id"].as_str().unwrap().to_owned();
    app.get(&format!("/v1/cases/{other}/notes?cursor={next}"), Role::Auditor)
        .await
        .assert_problem(400, "invalid-cursor");
    let foreign = app.request(Method::GET, &format!("/v1/cases/{id}/notes"), &app.tenants[1].keys[&Role::Auditor]);
    Answer::of(foreign).await.assert_problem(404, "not-found");
    let note = first["items"][0]["id"].as_str().unwrap();
    app.get(&format!("/v1/cases/{other}/notes/{note}"), Role::Auditor).await.assert_problem(404, "not-found");
}

#[tokio::test]
async fn links_show_both_directions_but_no_end_that_the_reader_may_not_see() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let mut hidden = complete_case();
    hidden["confidentiality"] = json!("restricted");
    let hidden = app.post("/v1/cases", Role::Supervisor, &hidden).await.json()["id"].as_str().unwrap().to_owned();
    let open = app.draft().await["id"].as_str().unwrap().to_owned();
    for target in [&hidden, &open] {
        let body = json!({"command": "link", "target_case_id": target, "kind": "relates_to", "reason": "same buoy"});
        let answer = app.command(&id, Role::Supervisor, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let path = format!("/v1/cases/{id}/links");
    let all = app.get(&path, Role::Supervisor).await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let seen = app.get(&path, Role::Caseworker).await.json();
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);
    assert_eq!(seen["items"][0]["target_case_id"], json!(open));
    let back = app.get(&format!("/v1/cases/{open}/links"), Role::Caseworker).await.json();
    assert_eq!(back["items"][0]["case_id"], json!(id));
    let secret = all["items"][0]["id"].as_str().unwrap();
    app.get(&format!("{path}/{secret}"), Role::Caseworker).await.assert_problem(404, "not-found");
    assert_eq!(app.get(&format!("{path}/{secret}"), Role::Supervisor).await.json()["reason"], "same buoy");
}

#[tokio::test]
async fn assigning_noting_and_linking_can_be_tried_out_without_a_key_and_change_nothing() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let submitted = app.command(&id, Role::Reporter, &json!({"command": "submit"})).await.json();
    let version = submitted["version"].as_u64().unwrap();
    let target = app.draft().await["id"].as_str().unwrap().to_owned();
    let assignment = json!({"assignee_id": app.principal(Role::Caseworker)});
    let link = json!({"target_case_id": target, "kind": "relates_to", "reason": "same buoy"});
    let tries = [
        (Method::PUT, "assignment", assignment),
        (Method::POST, "notes", json!({"body": "Lamp ordered."})),
        (Method::POST, "links", link),
    ];
    for (method, segment, body) in tries {
        let path = format!("/v1/cases/{id}/{segment}?dry_run=true");
        let request =
            app.request(method, &path, app.key(Role::Supervisor)).header("if-match", format!("\"v{version}\""));
        let answer = Answer::of(request.json(&body)).await;
        assert_eq!((answer.status, answer.header("location")), (200, ""), "{segment}: {}", answer.text);
        assert_eq!(answer.json()["version"], version + 1, "{segment}: {}", answer.text);
    }
    let after = app.get(&format!("/v1/cases/{id}"), Role::Supervisor).await.json();
    assert_eq!((&after["version"], &after["assignee_id"]), (&submitted["version"], &submitted["assignee_id"]));
    for segment in ["notes", "links"] {
        let page = app.get(&format!("/v1/cases/{id}/{segment}"), Role::Supervisor).await.json();
        assert_eq!(page["items"], json!([]), "{segment}");
    }
}

#[tokio::test]
async fn links_come_in_pages_of_their_own() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let mut linked = Vec::new();
    for _ in 0..3 {
        let target = app.draft().await["id"].clone();
        let body = json!({"command": "link", "target_case_id": target, "kind": "relates_to", "reason": "same buoy"});
        assert_eq!(app.command(&id, Role::Supervisor, &body).await.status, 200);
        linked.push(target);
    }
    let path = format!("/v1/cases/{id}/links");
    let first = app.get(&format!("{path}?limit=2"), Role::Auditor).await.json();
    let next = first["next"].as_str().unwrap();
    let second = app.get(&format!("{path}?limit=2&cursor={next}"), Role::Auditor).await.json();
    let pages = [&first, &second].map(|page| page["items"].as_array().unwrap().clone()).concat();
    assert_eq!(pages.iter().map(|link| link["target_case_id"].clone()).collect::<Vec<_>>(), linked);
    assert!(second["next"].is_null());
    let last = pages[2]["id"].as_str().unwrap();
    assert_eq!(app.get(&format!("{path}/{last}"), Role::Auditor).await.json(), pages[2]);
    app.get(&format!("{path}/{id}"), Role::Auditor).await.assert_problem(404, "not-found");
    app.get(&format!("/v1/cases/{id}/notes?cursor={next}"), Role::Auditor).await.assert_problem(400, "invalid-cursor");
}

#[tokio::test]
async fn the_trail_names_what_was_hung_on_a_case() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let target = app.draft().await["id"].clone();
    let text = "Lamp ordered – Größe 7.";
    let note = app.command(&id, Role::Supervisor, &json!({"command": "add_note", "body": text})).await;
    let link = json!({"command": "link", "target_case_id": target, "kind": "duplicates", "reason": "same buoy"});
    let link = app.command(&id, Role::Supervisor, &link).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"größe.txt\"\r\n\r\nseven\r\n--b--\r\n";
    let request = app.request(Method::POST, &format!("/v1/cases/{id}/evidence"), app.key(Role::Supervisor));
    let request = request.header("content-type", "multipart/form-data; boundary=b").header("if-match", "\"v3\"");
    let file = Answer::of(request.header("idempotency-key", "file").body(form)).await;
    assert_eq!((note.status, link.status, file.status), (200, 200, 201), "{}", file.text);
    let sha256 = |text: &str| docket_domain::idempotency::hex(&Sha256::digest(text));
    let expected = [
        json!([{"note": {"id": note.json()["created_id"], "kind": "note", "body_sha256": sha256(text)}}]),
        json!([{"link": {"id": link.json()["created_id"], "kind": "duplicates", "target_case_id": target}}]),
        json!([{"evidence": {"id": file.json()["created_id"], "sha256": sha256("seven"), "size_bytes": 5,
                             "media_type": "text/plain", "file_name": "größe.txt"}}]),
    ];
    let trail = app.get(&format!("/v1/cases/{id}/audit"), Role::Auditor).await.json();
    let named = |record: &serde_json::Value| record["after"]["attached"].clone();
    let attached: Vec<_> =
        trail["items"].as_array().unwrap().iter().map(named).filter(|rows| !rows.is_null()).collect();
    assert_eq!(attached, expected, "{trail}");
    let verified = app.get(&format!("/v1/cases/{id}/audit/verify"), Role::Auditor).await.json();
    assert_eq!(verified["records"], 4, "{verified}");
}
