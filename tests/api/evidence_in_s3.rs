//! Evidence in S3-compatible storage through the API: up, down in ranges, stored once, swept; and no row without bytes.

use docket::application::evidence::sweep_orphans::sweep_orphans;
use docket::bootstrap::Parts;
use docket::config::{Config, Sources, load};
use docket_domain::principal::Role;
use http::Method;
use secrecy::SecretString;

use crate::s3_server::S3Server;
use crate::support::{Answer, TestApp};

const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n";

fn store_in(config: &mut Config, endpoint: &str) {
    "s3://evidence/docket".clone_into(&mut config.storage.url);
    config.storage.s3_endpoint = Some(endpoint.to_owned());
    config.storage.s3_access_key_id = Some(SecretString::from("key"));
    config.storage.s3_secret_access_key = Some(SecretString::from("secret"));
}

async fn attach(app: &TestApp, id: &str, bytes: &[u8]) -> Answer {
    let request = app.request(Method::POST, &format!("/v1/cases/{id}/evidence"), app.key(Role::Reporter));
    let request = request.header("if-match", "\"v1\"").header("idempotency-key", id);
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n";
    let body = [head.as_bytes(), bytes, b"\r\n--b--\r\n"].concat();
    Answer::of(request.header("content-type", "multipart/form-data; boundary=b").body(body)).await
}

async fn rows(app: &TestApp) -> (i64, i64) {
    let sql = "SELECT (SELECT count(*) FROM docket.evidence_blobs), (SELECT count(*) FROM docket.case_evidence)";
    sqlx::query_as(sql).fetch_one(&app.superuser().await).await.unwrap()
}

async fn draft(app: &TestApp) -> String {
    app.draft().await["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_in_a_bucket_is_stored_once_handed_out_in_ranges_and_swept() {
    let Some(server) = S3Server::start() else { return };
    let app = TestApp::start_with(|config| store_in(config, &server.endpoint)).await;
    let (kept, gone) = (draft(&app).await, draft(&app).await);
    let answer = attach(&app, &kept, PDF).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let content = format!("{}/content", answer.header("location"));
    assert_eq!(attach(&app, &gone, PDF).await.status, 201);
    assert_eq!(rows(&app).await, (1, 2), "one content, attached twice");
    assert_eq!(app.get(&content, Role::Reporter).await.text.as_bytes(), PDF);
    let request = app.request(Method::GET, &content, app.key(Role::Reporter)).header("range", "bytes=1-3");
    let part = Answer::of(request).await;
    assert_eq!((part.status, part.text.as_str()), (206, "PDF"));

    // A refused attachment leaves its bytes behind, for the sweep.
    attach(&app, &kept, &[PDF, b"orphan"].concat()).await.assert_problem(422, "idempotency-key-reused");
    let mut config = load(&Sources::default()).unwrap().config;
    store_in(&mut config, &server.endpoint);
    let parts = Parts::from_pool(app.pool.clone());
    let (blobs, index) = (parts.blobs(&config).unwrap(), parts.evidence());
    let later = parts.clock.now() + time::Duration::hours(25);
    let swept = sweep_orphans(blobs.as_ref(), index.as_ref(), later, time::Duration::DAY, false).await.unwrap();
    assert_eq!((swept.seen, swept.contents_removed), (2, 1));
    assert_eq!(app.get(&content, Role::Reporter).await.text.as_bytes(), PDF, "what is in use stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_is_answered_503_and_leaves_no_row() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let app = TestApp::start_with(|config| store_in(config, &format!("http://127.0.0.1:{port}"))).await;
    let id = draft(&app).await;
    attach(&app, &id, PDF).await.assert_problem(503, "service-unavailable");
    assert_eq!(rows(&app).await, (0, 0));
    assert_eq!(app.get(&format!("/v1/cases/{id}"), Role::Reporter).await.json()["version"], 1);
}
