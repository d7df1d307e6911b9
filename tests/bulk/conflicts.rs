//! Rows whose case exists: unchanged, skipped, updated or refused; and formulas on their way through a spreadsheet.

use docket_domain::audit::{AuditRecord, verify_chain};
use sqlx::Row;

use crate::harness::{World, generated};

#[tokio::test]
async fn a_conflict_is_skipped_updated_or_fatal_as_asked() {
    let world = World::new().await;
    let file = world.file("cases.csv", generated(0, 50));
    assert_eq!(world.import(&file, &[]).count("imported"), 50);
    let changed = world.file("changed.csv", generated(0, 50).replace("G-7,submitted", "G-7,under_review"));

    let errors = world.path("skipped.csv").to_str().unwrap().to_owned();
    let skip = world.import(&changed, &["--errors", &errors]);
    assert_eq!((skip.code, skip.count("unchanged"), skip.count("skipped")), (Some(0), 49, 1), "{skip:?}");
    let told = world.rejected("skipped.csv");
    assert!(told[0][1] == "G-7" && told[0][3].contains("other content (state)"), "{told:?}");

    let fail = world.import(&changed, &["--on-conflict", "fail"]);
    assert_eq!(fail.code, Some(1));
    assert!(fail.err.contains("`G-7` exists with other content (state)"), "{fail:?}");
    assert_eq!(world.number("SELECT max(version) FROM docket.cases").await, 1);

    let update = world.import(&changed, &["--on-conflict", "update"]);
    assert_eq!((update.code, update.count("unchanged"), update.count("updated")), (Some(0), 49, 1), "{update:?}");
    world.assert_sound().await;
    let sql = "SELECT a.record::text, a.prev_hash, a.hash, c.state, c.version FROM docket.audit_events a
               JOIN docket.cases c ON c.id = a.chain_id WHERE c.reference = 'G-7' ORDER BY a.seq";
    let rows = world.rows(sql).await;
    let hash = |row: &sqlx::postgres::PgRow, name: &str| <[u8; 32]>::try_from(row.get::<Vec<u8>, _>(name)).unwrap();
    let records: Vec<AuditRecord> =
        rows.iter().map(|row| serde_json::from_str(&row.get::<String, _>(0)).unwrap()).collect();
    let chain = records.iter().zip(&rows).map(|(record, row)| (record, hash(row, "prev_hash"), hash(row, "hash")));
    assert_eq!(verify_chain(chain).unwrap().seq, 2);
    assert_eq!((rows[1].get::<String, _>("state"), rows[1].get::<i64, _>("version")), ("under_review".to_owned(), 2));
    assert_eq!(records[1].reason.as_deref(), Some("changed.csv, line 16"));
}

#[tokio::test]
async fn what_a_file_does_not_mention_stays_and_what_it_leaves_empty_goes() {
    let world = World::new().await;
    let header = "reference,state,title,severity,confidentiality,opened_at";
    let row = "G-1,submitted,Leak,medium,public,2020-03-01";
    let whole = format!(
        "{header},narrative,respondent,case_type,attributes\n{row},It leaks.,Operator,leak,\"{{\"\"berth\"\":7}}\"\n"
    );
    assert_eq!(world.import(&world.file("whole.csv", whole), &[]).count("imported"), 1);
    let told = "SELECT narrative || '|' || respondent || '|' || case_type || '|' || attributes::text FROM docket.cases";
    let thin = world.file("thin.csv", format!("{header}\n{row}\n"));
    let skip = world.import(&thin, &[]);
    assert_eq!((skip.count("unchanged"), skip.count("skipped")), (1, 0), "{skip:?}");
    let changed = world.file("changed.csv", format!("{header}\n{row}\n").replace("medium", "high"));
    assert_eq!(world.import(&changed, &["--on-conflict", "update"]).count("updated"), 1);
    let stays: String = world.rows(told).await[0].get(0);
    assert_eq!(stays, r#"It leaks.|Operator|leak|{"berth": 7}"#);
    let empty = format!("{header},narrative,respondent,case_type,attributes\n{row},,,,\n").replace("medium", "high");
    let empty = world.import(&world.file("empty.csv", empty), &["--on-conflict", "update"]);
    assert_eq!(empty.count("updated"), 1, "{empty:?}");
    let goes: String = world.rows(told).await[0].get(0);
    assert_eq!(goes, "|||{}");
    world.assert_sound().await;
}

#[tokio::test]
async fn formulas_are_defused_on_export_and_come_back_as_they_were() {
    let world = World::new().await;
    let titles = ["=1+1", "@SUM(A1)", "-2", "+3", "'=quoted", "'tis", "a, \\\"b\\\"", "plain"];
    let lines: Vec<String> = titles
        .iter()
        .enumerate()
        .map(|(number, title)| {
            format!(
                r#"{{"reference":"S-{number}","title":"{title}","state":"draft","severity":"low","confidentiality":"internal","opened_at":"2020-01-01T10:00:00.123456Z","narrative":"=cmd|' /C calc'!A0\nsecond","attributes":{{"x":"=1","n":1.5,"none":null}}}}"#
            )
        })
        .collect();
    let file = world.file("formulas.jsonl", lines.join("\n"));
    assert_eq!(world.import(&file, &[]).count("imported"), titles.len() as u64);
    let export = world.docket(&["export", "cases", "--tenant", "one"]).out;
    let mut reader = csv::Reader::from_reader(export.as_bytes());
    for record in reader.records() {
        let record = record.unwrap();
        assert!(record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@'])), "{record:?}");
    }
    let back = world.import(&world.file("back.csv", &export), &["--on-conflict", "update"]);
    assert_eq!((back.count("unchanged"), back.count("updated")), (titles.len() as u64, 0), "{back:?}");
}

#[tokio::test]
async fn a_waiting_case_has_an_open_question_and_tenants_do_not_see_each_other() {
    let world = World::new().await;
    let file = world.file("cases.csv", generated(0, 3).replace("G-1,submitted", "G-1,awaiting_information"));
    assert_eq!(world.import(&file, &[]).count("imported"), 3);
    let sql = "SELECT count(*) FROM docket.cases WHERE open_information_requests = 1 AND clock_paused_at IS NOT NULL";
    assert_eq!(world.number(sql).await, 1);
    assert_eq!(world.docket(&["export", "cases", "--tenant", "two"]).out.lines().count(), 1);
    let other = world.docket(&["import", "cases", &file, "--tenant", "two"]);
    assert_eq!(other.count("imported"), 3, "references are the tenant's own");
    for (tenant, id) in [("one", world.one), ("two", world.two)] {
        assert_eq!(world.number(&format!("SELECT count(*) FROM docket.cases WHERE tenant_id = '{id}'")).await, 3);
        assert_eq!(world.docket(&["export", "cases", "--tenant", tenant]).out.lines().count(), 7, "two lines a case");
    }
}

#[tokio::test]
async fn an_update_that_changes_the_state_stops_and_starts_the_clock_of_the_same_deadline() {
    let world = World::new().await;
    let file = |name: &str, state: &str| {
        let header = "reference,state,title,severity,confidentiality,opened_at";
        world.file(name, format!("{header}\nG-1,{state},Leak,medium,public,2020-03-01\n"))
    };
    assert_eq!(world.import(&file("new.csv", "under_review"), &[]).count("imported"), 1);
    // A deadline in the future, of which the first warning was given.
    world
        .rows("UPDATE docket.cases SET due_at = now() + interval '5 days', warned_75_at = now() - interval '1 day'")
        .await;
    let look = "SELECT open_information_requests AS questions, clock_paused_at IS NOT NULL AS paused,
                       due_at >= now() + interval '4 days' AS ahead, warned_75_at IS NOT NULL AS warned,
                       next_notice_at IS NOT NULL AS owed FROM docket.cases";
    let (waiting, back) = (file("waiting.csv", "awaiting_information"), file("back.csv", "under_review"));
    for (file, questions, paused) in [(&waiting, 1, true), (&back, 0, false)] {
        let said = world.import(file, &["--on-conflict", "update"]);
        assert_eq!(said.count("updated"), 1, "{said:?}");
        let row = &world.rows(look).await[0];
        assert_eq!((row.get::<i32, _>("questions"), row.get::<bool, _>("paused")), (questions, paused), "{file}");
        assert!(row.get::<bool, _>("ahead") && row.get::<bool, _>("warned"), "{file}");
        assert_eq!(row.get::<bool, _>("owed"), !paused, "{file}");
    }
    // Where the clock stood still for a day, the deadline ends later by as much working time as had passed.
    world.import(&waiting, &["--on-conflict", "update"]);
    world
        .rows(
            "UPDATE docket.cases SET due_at = now() - interval '9 days', clock_paused_at = now() - interval '20 days'",
        )
        .await;
    let again = world.import(&waiting, &["--on-conflict", "update", "--resume", "false"]);
    assert_eq!((again.count("unchanged"), again.count("updated")), (1, 0), "{again:?}");
    world.import(&back, &["--on-conflict", "update", "--resume", "false"]);
    let resumed =
        "SELECT count(*) FROM docket.cases WHERE clock_paused_at IS NULL AND due_at > now() + interval '6 days'";
    assert_eq!(world.number(resumed).await, 1);
}
