//! Documents through the API: brought, read by a real worker, replaced, found again, removed, and hidden from whom they are.

use std::time::Duration;

use docket::application::ports::document_store::Published;
use docket_domain::document::{Failure, FailureCode};
use docket_domain::ids::{DocumentId, JobId, TenantId};
use docket_domain::job::JobLease;
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApp};

async fn app() -> TestApp {
    app_with(|_| {}).await
}

async fn app_with(change: impl FnOnce(&mut docket::config::Config)) -> TestApp {
    TestApp::start_with(|config| {
        config.server.role = docket::config::ProcessRole::All;
        config.plugins.program = Some(env!("CARGO_BIN_EXE_docket").into());
        config.plugins.home = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/.venv").into());
        config.plugins.workers = 1;
        change(config);
    })
    .await
}

fn form(name: &str, content: &str, labels: &[(&str, &str)]) -> String {
    let labels = labels
        .iter()
        .map(|(label, value)| format!("--b\r\nContent-Disposition: form-data; name=\"{label}\"\r\n\r\n{value}\r\n"));
    let file =
        format!("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n");
    labels.chain([file, "--b--\r\n".to_owned()]).collect()
}

async fn bring(app: &TestApp, role: Role, form: String) -> Answer {
    let request = app.request(Method::POST, "/v1/documents", app.key(role));
    let request = request.header("content-type", "multipart/form-data; boundary=b").body(form);
    Answer::of(request.header("idempotency-key", Uuid::new_v4().to_string())).await
}

async fn read(app: &TestApp, id: &str) -> Value {
    for _ in 0..600 {
        let document = app.get(&format!("/v1/documents/{id}"), Role::Supervisor).await.json();
        if document["generation"] == document["version"] || document["status"] == "failed" {
            return document;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{id} was not read within a minute");
}

const TEXT: &str = "# Order 5\n\nBoats carry life jackets. Ünïcode too.\n\n## Deadline\n\nWithin thirty days.\n";

#[tokio::test]
async fn a_document_may_be_as_large_as_an_upload_and_what_only_names_one_may_not() {
    let app = app_with(|config| {
        config.server.max_body_bytes = 20_000;
        config.server.max_upload_bytes = 400_000;
    })
    .await;
    let large = format!("# Order 7\n\n{}", "Boats carry life jackets.\n\n".repeat(8_000));
    let answer = bring(&app, Role::Caseworker, form("large.md", &large, &[])).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(read(&app, answer.json()["id"].as_str().unwrap()).await["status"], "ready");
    let larger = large.repeat(2);
    assert_eq!(bring(&app, Role::Caseworker, form("larger.md", &larger, &[])).await.status, 413);
    let address = json!({ "url": format!("https://example.org/{}", "a".repeat(30_000)) }).to_string();
    let request = app.request(Method::POST, "/v1/documents", app.key(Role::Caseworker));
    let request = request.header("content-type", "application/json").header("idempotency-key", "long");
    assert_eq!(Answer::of(request.body(address)).await.status, 413);
}

#[tokio::test]
async fn a_document_is_read_replaced_known_again_and_removed() {
    let app = app().await;
    let answer = bring(&app, Role::Caseworker, form("order.md", TEXT, &[("title", "The order")])).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let document = read(&app, &id).await;
    assert_eq!((&document["status"], &document["title"]), (&json!("ready"), &json!("Order 5")), "{document}");
    let passages = app.get(&format!("/v1/documents/{id}/passages"), Role::Caseworker).await.json();
    for passage in passages["items"].as_array().unwrap() {
        let (start, end) = (passage["char_start"].as_u64().unwrap(), passage["char_end"].as_u64().unwrap());
        let there: String =
            TEXT.chars().skip(usize::try_from(start).unwrap()).take(usize::try_from(end - start).unwrap()).collect();
        assert_eq!(passage["text"], there.as_str());
    }
    assert_eq!(passages["items"].as_array().unwrap().len() as u64, document["passages"].as_u64().unwrap());
    // The same content under another name is the same document; other content under the same name replaces it.
    let again = bring(&app, Role::Caseworker, form("copy.md", TEXT, &[])).await;
    assert_eq!((again.status, &again.json()["id"]), (200, &json!(id)));
    let replaced = bring(&app, Role::Caseworker, form("order.md", "# Order 6\n\nShips, too.\n", &[])).await;
    assert_eq!((replaced.status, &replaced.json()["version"]), (200, &json!(2)), "{}", replaced.text);
    assert_eq!(read(&app, &id).await["title"], "Order 6");
    let tombstones: i64 = sqlx::query_scalar("SELECT count(*) FROM docket.chunk_deletions WHERE generation = 1")
        .fetch_one(&app.superuser().await)
        .await
        .unwrap();
    assert_eq!(tombstones, 1, "followers of the passages learn that the first reading is gone");
    let removed = app.request(Method::DELETE, &format!("/v1/documents/{id}"), app.key(Role::Supervisor));
    assert_eq!(Answer::of(removed).await.status, 200);
    app.get(&format!("/v1/documents/{id}"), Role::Supervisor).await.assert_problem(404, "not-found");
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM docket.chunks) + (SELECT count(*) FROM docket.document_texts)",
    )
    .fetch_one(&app.superuser().await)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_collection_is_cut_by_the_plugin_that_the_settings_name() {
    let app = app_with(|config| {
        config.plugins.path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plugins/troublemakers").into();
        let cut_by = [("acts", "lines"), ("wrong", "astray")];
        config.plugins.chunkers = cut_by.map(|(collection, name)| (collection.to_owned(), name.to_owned())).into();
    })
    .await;
    let text = "One line.\nÜnd another.\n\nThe third.";
    for (collection, expected) in [("acts", 3), ("default", 1)] {
        let label = [("collection", collection)];
        let answer = bring(&app, Role::Caseworker, form("lines.txt", text, &label)).await;
        let document = read(&app, answer.json()["id"].as_str().unwrap()).await;
        assert_eq!(document["passages"], expected, "{collection}: {document}");
    }
    let answer = bring(&app, Role::Caseworker, form("lines.txt", text, &[("collection", "wrong")])).await;
    let document = read(&app, answer.json()["id"].as_str().unwrap()).await;
    assert_eq!((&document["status"], &document["passages"]), (&json!("failed"), &json!(0)), "{document}");
    assert!(document["failure"]["reason"].as_str().unwrap().contains("astray"), "{document}");
}

#[tokio::test]
async fn a_file_without_text_fails_with_a_reason_and_keeps_the_reading_before() {
    let app = app().await;
    let first = bring(&app, Role::Supervisor, form("a.txt", "Some text.", &[("confidentiality", "restricted")])).await;
    let id = first.json()["id"].as_str().unwrap().to_owned();
    read(&app, &id).await;
    bring(&app, Role::Supervisor, form("a.txt", " \n ", &[("confidentiality", "restricted")])).await;
    let document = read(&app, &id).await;
    assert_eq!((&document["status"], &document["failure"]["code"]), (&json!("failed"), &json!("empty")), "{document}");
    assert_eq!(document["generation"], 1);
    let passages = app.get(&format!("/v1/documents/{id}/passages"), Role::Supervisor).await.json();
    assert_eq!(passages["items"][0]["text"], "Some text.");
    // Restricted: a caseworker may neither see it nor bring such documents, and another tenant knows nothing of it.
    app.get(&format!("/v1/documents/{id}"), Role::Caseworker).await.assert_problem(404, "not-found");
    let listed = app.get("/v1/documents", Role::Caseworker).await.json();
    assert_eq!(listed["items"], json!([]));
    let foreign = app.request(Method::GET, &format!("/v1/documents/{id}"), &app.tenants[1].keys[&Role::Supervisor]);
    Answer::of(foreign).await.assert_problem(404, "not-found");
    let refused = bring(&app, Role::Caseworker, form("b.txt", "text", &[("confidentiality", "restricted")])).await;
    refused.assert_problem(403, "forbidden");
    bring(&app, Role::Reporter, form("b.txt", "text", &[])).await.assert_problem(403, "forbidden");
}

#[tokio::test]
async fn addresses_inside_the_house_are_not_fetched() {
    let app = TestApp::start().await;
    for url in
        ["http://127.0.0.1/a.pdf", "https://169.254.169.254/latest", "https://[::1]/", "ftp://example.org/a", "x"]
    {
        let answer = app.post("/v1/documents", Role::Caseworker, &json!({"url": url})).await;
        let problem = answer.assert_problem(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], "/url", "{url}");
    }
}

#[tokio::test]
async fn a_document_that_nobody_reads_any_more_is_queued_again_when_it_is_brought_again() {
    let app = TestApp::start().await;
    let first = bring(&app, Role::Caseworker, form("order.md", TEXT, &[])).await.json();
    let again = bring(&app, Role::Caseworker, form("order.md", TEXT, &[])).await;
    assert_eq!((again.status, &again.json()["job_id"]), (200, &first["job_id"]), "its job waits: nothing changes");
    let cancel = format!("/v1/jobs/{}/cancel", first["job_id"].as_str().unwrap());
    let cancelled = app.post(&cancel, Role::Admin, &json!({})).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);
    let anew = bring(&app, Role::Caseworker, form("order.md", TEXT, &[])).await;
    let document = anew.json();
    assert_eq!((anew.status, &document["id"]), (200, &first["id"]), "{}", anew.text);
    assert_eq!((&document["status"], &document["version"]), (&json!("queued"), &json!(2)));
    let jobs: Vec<String> = sqlx::query_scalar("SELECT id::text FROM docket.jobs WHERE kind = 'ingest_document'")
        .fetch_all(&app.superuser().await)
        .await
        .unwrap();
    assert_eq!(json!(jobs), json!([document["job_id"]]), "the new job alone waits");
}

#[tokio::test]
async fn a_worker_that_lost_its_job_does_not_begin_what_another_gave_up() {
    let app = TestApp::start().await;
    let document = bring(&app, Role::Caseworker, form("order.md", TEXT, &[])).await.json();
    let (tenant, id, job): (Uuid, Uuid, Uuid) = sqlx::query_as(
        "UPDATE docket.jobs SET worker_id = id, lease_token = 7 WHERE kind = 'ingest_document'
         RETURNING tenant_id, (payload->>'document_id')::uuid, id",
    )
    .fetch_one(&app.superuser().await)
    .await
    .unwrap();
    let (tenant, id) = (TenantId(tenant), DocumentId(id));
    let documents = app.parts.documents();
    assert!(documents.begin(tenant, id, 1).await.unwrap());
    let failure = Failure { code: FailureCode::ParserFailed, reason: "it died twice".to_owned() };
    let lease = JobLease { tenant_id: tenant, job_id: JobId(job), token: 7 };
    assert_eq!(documents.fail(tenant, id, 1, &failure, lease).await.unwrap(), Published::Done);
    assert!(!documents.begin(tenant, id, 1).await.unwrap(), "it has failed");
    let shown = app.get(&format!("/v1/documents/{}", document["id"].as_str().unwrap()), Role::Caseworker).await.json();
    assert_eq!((&shown["status"], &shown["failure"]["code"]), (&json!("failed"), &json!("parser_failed")), "{shown}");
}

#[tokio::test]
async fn without_plugin_workers_a_document_waits_and_no_attempt_counts() {
    let app = app_with(|config| config.plugins.program = Some("/bin/false".into())).await;
    let document = bring(&app, Role::Caseworker, form("order.md", TEXT, &[])).await.json();
    let path = format!("/v1/jobs/{}", document["job_id"].as_str().unwrap());
    for _ in 0..600 {
        let job = app.get(&path, Role::Admin).await.json();
        if job["state"] == "queued" && !job["error"].is_null() {
            assert_eq!(job["attempt"], 0, "{job}");
            assert!(job["error"].as_str().unwrap().starts_with("no parser is free"), "{job}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the job was not put back within half a minute");
}

#[tokio::test]
async fn a_source_is_bounded_in_bytes_as_its_index_is() {
    let app = TestApp::start().await;
    for (source, status) in [("規".repeat(1_000), 422), ("é".repeat(1_000), 201)] {
        let answer = bring(&app, Role::Caseworker, form("order.md", TEXT, &[("source", &source)])).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        if status == 422 {
            assert_eq!(answer.json()["errors"][0]["pointer"], "/source", "{}", answer.text);
        }
    }
}
