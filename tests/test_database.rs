//! The provisioning of test databases itself: separate, migrated, bound by the service's role, and gone afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use sqlx::{Connection, PgConnection};
use support::database::TestDatabase;

async fn count(url: &str, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

#[tokio::test]
async fn each_test_has_a_migrated_database_of_its_own() {
    let (first, second) = tokio::join!(TestDatabase::new(), TestDatabase::new());
    assert_ne!(first.name(), second.name());
    let mut connection = PgConnection::connect(&first.superuser_url()).await.unwrap();
    sqlx::query("CREATE TABLE only_here ()").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let tables = "SELECT count(*) FROM pg_class WHERE relname = 'only_here'";
    assert_eq!(count(&first.superuser_url(), tables).await, 1);
    assert_eq!(count(&second.superuser_url(), tables).await, 0);
    assert!(count(&second.superuser_url(), "SELECT count(*) FROM _sqlx_migrations WHERE success").await > 0);
}

#[tokio::test]
async fn the_service_connects_as_a_role_that_cannot_bypass_row_level_security() {
    let database = TestDatabase::new().await;
    let powers = "SELECT count(*) FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolbypassrls)";
    assert_eq!(count(&database.app_url(), powers).await, 0);
    assert_eq!(count(&database.superuser_url(), powers).await, 1);
}

#[tokio::test]
async fn a_database_is_dropped_with_its_value_even_while_somebody_is_connected() {
    let (database, observer) = tokio::join!(TestDatabase::new(), TestDatabase::new());
    let lingering = PgConnection::connect(&database.superuser_url()).await.unwrap();
    let name = database.name().to_owned();
    drop(database);
    let mut connection = PgConnection::connect(&observer.superuser_url()).await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(left, 0);
    drop(lingering);
}

#[tokio::test]
async fn an_owner_whose_search_path_begins_with_the_schema_of_the_service_migrates_only_once() {
    // So it is for a role that is called docket: "$user" stands first in PostgreSQL's usual search path.
    let database = TestDatabase::new().await;
    let applied = "SELECT count(*) FROM public._sqlx_migrations";
    let before = count(&database.superuser_url(), applied).await;
    let url = database.superuser_url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let owner = format!("{url}{separator}options=-csearch_path%3Ddocket%2Cpublic");
    docket::adapters::postgres::migrate(&owner).await.expect("nothing is left to be done");
    assert_eq!(count(&database.superuser_url(), applied).await, before);
    let strays = "SELECT count(*) FROM pg_class WHERE relname = '_sqlx_migrations'";
    assert_eq!(count(&database.superuser_url(), strays).await, 1);
}
