//! Whoever gives up while a transaction begins leaves a connection that is in none.

use std::pin::pin;
use std::task::Poll;

use docket::adapters::postgres::transaction::begin;
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres, Row, Transaction};

use crate::support::database::TestDatabase;

/// Inside a transaction `now()` stands still at its beginning; outside it is the time of the statement. By the simple
/// protocol: the extended one begins with the transaction and takes the statement's time later.
async fn is_in_a_transaction(pool: &PgPool) -> bool {
    sqlx::raw_sql("SELECT now() <> statement_timestamp()").fetch_one(pool).await.unwrap().get(0)
}

/// Waits for a transaction as many turns of the runtime as it is told. Turns and no time: the timer knows only milliseconds,
/// and a machine at rest has begun by then.
async fn begin_for(pool: &PgPool, turns: u32) -> Option<Transaction<'static, Postgres>> {
    let mut beginning = pin!(begin(pool));
    for _ in 0..=turns {
        if let Poll::Ready(begun) = futures::poll!(&mut beginning) {
            return Some(begun.unwrap());
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test]
async fn a_transaction_that_is_given_up_while_it_begins_is_not_left_open() {
    let database = TestDatabase::new().await;
    let pool = PgPoolOptions::new().max_connections(1).connect(&database.app_url()).await.unwrap();
    let mut given_up = 0;
    for turns in (0..40).cycle().take(1_000) {
        given_up += u32::from(begin_for(&pool, turns).await.is_none());
        assert!(!is_in_a_transaction(&pool).await, "given up after {turns} turns, its connection is still in it");
    }
    assert!(given_up > 0, "every transaction began in time: nothing was tried");
}
