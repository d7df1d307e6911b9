//! Documents that were read before the embedding model was there are found by meaning once it is.

use std::time::Duration;

use docket::application::demo::seed_documents::{missing_documents, seed_documents};
use docket::bootstrap::{self, Parts};
use docket::config::ProcessRole;
use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::support::{Answer, TestApp};

async fn count(owner: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(owner).await.unwrap()
}

/// Passages that a search by meaning alone finds.
async fn by_meaning(app: &TestApp) -> usize {
    let body = json!({"query": "how long may drivers of trains work before they rest", "fusion": "meaning"});
    let answer =
        Answer::of(app.request(Method::POST, "/v1/search", &app.tenants[1].keys[&Role::Caseworker]).json(&body));
    answer.await.json()["hits"].as_array().unwrap().len()
}

#[tokio::test]
async fn demo_documents_come_once_to_their_tenants_and_get_their_vectors_when_the_model_comes() {
    let app = TestApp::start_with(|config| {
        config.plugins.program = Some(env!("CARGO_BIN_EXE_docket").into());
        config.plugins.home = Some(concat!(env!("CARGO_MANIFEST_DIR"), "/.venv").into());
        config.plugins.workers = 1;
    })
    .await;
    let owner = app.superuser().await;
    let rename =
        "UPDATE docket.tenants SET name = CASE name WHEN 'alpha' THEN 'harbour-safety' ELSE 'rail-oversight' END
                  WHERE name IN ('alpha', 'beta')";
    sqlx::query(rename).execute(&owner).await.unwrap();

    // A process without the model brings and reads.
    let mut config = app.config.clone();
    config.embedding.model_dir = Some("/nonexistent".into());
    let parts = Parts::from_pool(app.pool.clone());
    let library = parts.library(&config, parts.administration(&config)).unwrap();
    let mut missing = missing_documents(&library).await.unwrap();
    assert_eq!(missing.len(), 20);
    let few = vec![missing.remove(0), missing.pop().unwrap()];
    let (stop, reader) = (CancellationToken::new(), bootstrap::ingest_service(&parts, &config).unwrap());
    let reading = tokio::spawn({
        let stop = stop.clone();
        async move { reader.run(stop).await }
    });
    let mut told = 0;
    let (never, mut tell) = (CancellationToken::new(), |_| told += 1);
    let progress = tokio::time::timeout(Duration::from_mins(2), seed_documents(&library, few, &never, &mut tell));
    let progress = progress.await.expect("two documents within two minutes").unwrap();
    assert_eq!((progress.ready, progress.failed, progress.total), (2, 0, 2), "{progress:?}");
    assert!(told >= 1 && progress.passages > 2);
    stop.cancel();
    reading.await.unwrap().unwrap();

    // What is there is not brought again, and nothing is written to find that out.
    let records = "SELECT count(*) FROM docket.audit_events";
    let before = count(&owner, records).await;
    assert_eq!(missing_documents(&library).await.unwrap().len(), 18);
    assert_eq!(count(&owner, records).await, before);
    let homes = "SELECT count(DISTINCT tenant_id) FROM docket.documents";
    assert_eq!(count(&owner, homes).await, 2, "one document for each tenant");
    let bare = "SELECT count(*) FROM docket.chunks WHERE embedding IS NULL";
    assert_eq!(count(&owner, bare).await, i64::try_from(progress.passages).unwrap());
    assert_eq!(by_meaning(&app).await, 0, "nothing has a meaning yet");

    // A worker that has the model starts.
    let mut config = app.config.clone();
    config.server.role = ProcessRole::Worker;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stop = CancellationToken::new();
    let worker = tokio::spawn(bootstrap::run(config, Parts::from_pool(app.pool.clone()), listener, stop.clone()));
    tokio::time::timeout(Duration::from_mins(2), async {
        while count(&owner, bare).await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("every passage gets its vector");
    assert!(by_meaning(&app).await > 0);
    stop.cancel();
    worker.await.unwrap().unwrap();
}
