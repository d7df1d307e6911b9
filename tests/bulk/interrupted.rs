//! Imports that are cut short: a batch is all or nothing, and after kill -9 nothing is lost or doubled.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use crate::harness::{World, append_generated, generated};

#[tokio::test]
async fn a_batch_is_committed_as_a_whole_or_not_at_all_and_the_run_goes_on_later() {
    let world = World::new().await;
    let file = world.file("cases.csv", generated(0, 100));
    let mut connection = PgConnection::connect(&world.database.superuser_url()).await.unwrap();
    // The event of one row in the third batch cannot be written.
    let breaking =
        "ALTER TABLE docket.outbox_events ADD CONSTRAINT broken CHECK (data->>'severity' <> 'medium') NOT VALID";
    let first = world.file("first.csv", generated(0, 40).replace("medium", "low"));
    assert_eq!(world.import(&first, &["--batch", "20"]).count("imported"), 40);
    connection.execute(AssertSqlSafe(breaking)).await.unwrap();
    let said = world.import(&file, &["--batch", "20"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(world.number("SELECT count(*) FROM docket.cases").await, 40, "nothing of the broken batch");
    world.assert_sound().await;

    connection.execute("ALTER TABLE docket.outbox_events DROP CONSTRAINT broken").await.unwrap();
    let said = world.import(&file, &["--batch", "20"]);
    assert_eq!((said.code, said.count("imported"), said.count("skipped")), (Some(0), 60, 40), "{said:?}");
    world.assert_sound().await;
}

#[tokio::test]
async fn cases_stand_in_the_order_of_the_file_although_batches_are_written_side_by_side() {
    let world = World::new().await;
    let file = world.file("cases.csv", generated(0, 1_000));
    assert_eq!(world.import(&file, &["--batch", "10"]).count("imported"), 1_000);
    for order in ["id", "created_at, id"] {
        let rows = world.rows(&format!("SELECT reference FROM docket.cases ORDER BY {order}")).await;
        let references: Vec<String> = rows.iter().map(|row| row.get("reference")).collect();
        let first_strange = (0..1_000).find(|number| references[*number] != format!("G-{number}"));
        assert_eq!(first_strange, None, "by {order}");
    }
    world.assert_sound().await;
}

#[tokio::test]
async fn after_kill_9_the_import_goes_on_and_nothing_is_lost_or_doubled() {
    const ROWS: u64 = 3_000;
    let world = World::new().await;
    let mut text = generated(0, ROWS);
    text.push_str("BAD,unknown,T,low,public,2020-01-01,,,\n");
    append_generated(&mut text, 0, 5);
    append_generated(&mut text, ROWS, ROWS);
    let file = world.file("cases.csv", text);
    let errors = world.path("rejected.csv").to_str().unwrap().to_owned();
    let arguments = ["import", "cases", &file, "--tenant", "one", "--batch", "20", "--errors", &errors];

    let mut kills = 0;
    for target in [200, 1_500, 3_200] {
        let mut process = world.command(&arguments).spawn().unwrap();
        let began = Instant::now();
        while process.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_mins(2), "the import stands still");
            if world.number("SELECT count(*) FROM docket.cases").await >= target {
                process.kill().unwrap();
                kills += 1;
                break;
            }
        }
        process.wait().unwrap();
    }
    assert!(kills >= 2, "the import was too quick to be killed");
    assert_eq!(world.number("SELECT count(*) FROM docket.import_runs WHERE finished_at IS NULL").await, 1);
    world.assert_sound().await;

    let said = world.docket(&arguments);
    assert!(said.out.contains("where an earlier run was cut short"), "{said:?}");
    assert_eq!((said.count("imported"), said.count("rejected")), (2 * ROWS, 6), "counts of the whole run: {said:?}");
    assert_eq!((said.count("unchanged"), said.count("skipped")), (0, 0), "no row was taken in twice");
    assert_eq!(world.number("SELECT count(*) FROM docket.cases").await, i64::try_from(2 * ROWS).unwrap());
    world.assert_sound().await;
    // The report of rejected rows has each of them once, also those from before the kill.
    let lines: Vec<_> =
        world.rejected("rejected.csv").into_iter().map(|row| (row[1].clone(), row[3].clone())).collect();
    assert_eq!(lines.len(), 6, "{lines:?}");
    assert!(lines[0].0 == "BAD" && lines[1..].iter().all(|(_, reason)| reason.contains("already")), "{lines:?}");

    let again = world.docket(&arguments);
    assert_eq!((again.count("imported"), again.count("unchanged")), (0, 2 * ROWS), "a finished run begins anew");
}
