//! `docket ingest` ends whatever becomes of the jobs that read.

use std::time::Duration;

use docket::config::ProcessRole;
use sqlx::PgPool;

use crate::ground::Ground;

#[tokio::test]
async fn ingesting_ends_when_the_job_that_reads_a_document_is_gone() {
    let ground = Ground::new_with(|config| config.server.role = ProcessRole::Api).await;
    ground.ok(&["tenants", "create", "rail", "--display-name", "Rail Oversight Board"]).await;
    let file = tempfile::Builder::new().suffix(".txt").tempfile().unwrap();
    std::fs::write(file.path(), "Trains stop.").unwrap();
    let owner = PgPool::connect(&ground.database.superuser_url()).await.unwrap();
    let arguments = ["ingest", file.path().to_str().unwrap(), "--tenant", "rail"];
    // Nobody parses, so the job waits until somebody takes it away.
    let ingesting = ground.run_with(&arguments, &[("DOCKET_PLUGINS__PROGRAM", "/bin/false")]);
    let taking_away = async {
        loop {
            let gone = "DELETE FROM docket.jobs WHERE kind = 'ingest_document' AND last_error IS NOT NULL";
            if sqlx::query(gone).execute(&owner).await.unwrap().rows_affected() == 1 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let both = async { tokio::join!(ingesting, taking_away).0 };
    let output = tokio::time::timeout(Duration::from_mins(1), both).await.expect("it ends");
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{errors}");
    assert!(out.contains("its job is gone") && out.contains("0 of 1 documents can be searched"), "{out}{errors}");
}
