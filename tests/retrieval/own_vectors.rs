//! Vectors of another model are taken out and made anew; what is compared is always of one model.

use std::time::Duration;

use docket::bootstrap::{self, Parts};
use docket::config::ProcessRole;
use docket_domain::principal::Role;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::service::{TEXTS, bring, search, texts};
use crate::support::TestApp;

async fn number(owner: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(owner).await.unwrap()
}

#[tokio::test]
async fn vectors_of_another_model_are_replaced_in_every_tenant_when_a_process_with_the_model_starts() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    for tenant in [0, 1] {
        bring(&app, &owner, tenant, "public", &TEXTS).await;
    }
    let foreign = "UPDATE docket.chunks SET embedding = (SELECT array_agg(1 / sqrt(384.0)) FROM generate_series(1, 384))::public.vector";
    sqlx::query(foreign).execute(&owner).await.unwrap();
    let other = "INSERT INTO docket.embedding_model (identity) VALUES ('another')";
    sqlx::query(other).execute(&owner).await.unwrap();

    let mut config = app.config.clone();
    config.server.role = ProcessRole::Worker;
    config.embedding.warm_up = true;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stop = CancellationToken::new();
    let worker = tokio::spawn(bootstrap::run(config, Parts::from_pool(app.pool.clone()), listener, stop.clone()));
    let waiting = "SELECT count(*) FROM docket.chunks WHERE embedding IS NULL
                   OR (SELECT identity FROM docket.embedding_model) = 'another'";
    tokio::time::timeout(Duration::from_mins(2), async {
        while number(&owner, waiting).await > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("every passage gets a vector of the model");
    stop.cancel();
    worker.await.unwrap().unwrap();

    // Every vector was the same before; now the nearest to a question is the passage that answers it.
    for tenant in [0, 1] {
        let body = json!({"query": "When are annual fees due?", "fusion": "meaning"});
        let answer = search(&app, tenant, Role::Caseworker, &body).await;
        assert_eq!(texts(&answer).first().map(String::as_str), Some(TEXTS[1]), "{answer}");
    }
}
