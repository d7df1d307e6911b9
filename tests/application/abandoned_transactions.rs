//! Whoever gives up while a transaction begins leaves a connection that is in none.

use std::time::Duration;

use docket::adapters::postgres::transaction::begin;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Row};

use crate::support::database::TestDatabase;

/// Inside a transaction `now()` stands still at its beginning; outside it is the time of the statement. By the simple
/// protocol: the extended one begins with the transaction and takes the statement's time later.
async fn is_in_a_transaction(pool: &PgPool) -> bool {
    sqlx::raw_sql("SELECT now() <> statement_timestamp()").fetch_one(pool).await.unwrap().get(0)
}

#[tokio::test]
async fn a_transaction_that_is_given_up_while_it_begins_is_not_left_open() {
    let database = TestDatabase::new().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.app_url()).await.unwrap();
    let mut given_up = 0;
    for microseconds in (0..4_000).step_by(10) {
        let beginning = tokio::time::timeout(Duration::from_micros(microseconds), begin(&pool)).await;
        given_up += u32::from(beginning.is_err());
        drop(beginning);
        assert!(!is_in_a_transaction(&pool).await, "given up after {microseconds} us, its connection is still in it");
    }
    assert!(given_up > 0, "every transaction began in time: nothing was tried");
}
