//! The real file: imported completely, idempotently, and back out without a change.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::Row;
use time::OffsetDateTime;

use crate::harness::{World, phmsa};

const MAPPING: [&str; 2] = ["--mapping", "mappings/phmsa.toml"];

#[tokio::test]
async fn the_real_file_comes_in_completely_and_a_second_import_changes_nothing() {
    let Some(path) = phmsa() else { return };
    let world = World::new().await;
    let file = path.to_str().unwrap();
    let said = world.import(file, &MAPPING);
    assert_eq!((said.code, said.count("imported"), said.count("rejected")), (Some(0), 4_248, 0), "{said:?}");
    world.assert_sound().await;

    let sql =
        "SELECT c.*, a.record::jsonb AS record FROM docket.cases c JOIN docket.audit_events a ON a.chain_id = c.id";
    let stored = world.rows(sql).await;
    let stored: HashMap<String, _> = stored.into_iter().map(|row| (row.get("reference"), row)).collect();
    let mut reader = csv::Reader::from_path(&path).unwrap();
    let mut rows = 0;
    for row in reader.deserialize::<HashMap<String, String>>() {
        let row = row.unwrap();
        let case = &stored[&row["case_id"]];
        let date = |name: &str| case.get::<Option<OffsetDateTime>, _>(name).map(|at| at.date().to_string());
        let state = if row["status"] == "closed" { "closed" } else { "under_review" };
        assert_eq!(case.get::<String, _>("state"), state);
        assert_eq!(date("opened_at").unwrap(), row["opened_date"]);
        assert_eq!(date("closed_at").unwrap_or_default(), row["closed_date"]);
        assert_eq!(case.get::<String, _>("title"), row["title"]);
        assert_eq!(case.get::<String, _>("narrative"), row["summary"]);
        let attributes: Value = case.get("attributes");
        assert_eq!(attributes["region"], row["region"].as_str());
        let penalty = row["proposed_penalty_usd"].parse::<f64>().ok();
        assert_eq!(attributes["proposed_penalty_usd"].as_f64(), penalty);
        let record: Value = case.get("record");
        assert_eq!(record["action"], "case.import");
        assert_eq!((&record["actor_type"], &record["outcome"]), (&Value::from("system"), &Value::from("allowed")));
        assert_eq!(record["after"]["reference"], row["case_id"].as_str());
        rows += 1;
    }
    assert_eq!(rows, 4_248);
    let events = "SELECT count(*) FROM docket.outbox_events WHERE type = 'case.imported'";
    assert_eq!(world.number(events).await, 4_248);

    let again = world.import(file, &[&MAPPING[..], &["--on-conflict", "update"]].concat());
    assert_eq!((again.code, again.count("unchanged"), again.count("updated")), (Some(0), 4_248, 0), "{again:?}");
    assert_eq!(world.number("SELECT count(*) FROM docket.audit_events").await, 4_248);
}

#[tokio::test]
async fn what_is_exported_comes_back_without_a_change_in_both_formats() {
    let Some(path) = phmsa() else { return };
    let world = World::new().await;
    world.import(path.to_str().unwrap(), &MAPPING);
    for name in ["cases.csv", "cases.jsonl"] {
        let file = world.path(name).to_str().unwrap().to_owned();
        let said = world.docket(&["export", "cases", "--tenant", "one", "--output", &file]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let back = world.import(&file, &["--on-conflict", "update"]);
        assert_eq!((back.code, back.count("unchanged"), back.count("updated")), (Some(0), 4_248, 0), "{back:?}");
        // Another tenant gets the same cases, and exports the same text but for when they were entered.
        let other = world.docket(&["import", "cases", &file, "--tenant", "two"]);
        assert!(matches!(other.count("imported") + other.count("unchanged"), 4_248), "{other:?}");
    }
    let export = |tenant| world.docket(&["export", "cases", "--tenant", tenant, "--state", "under_review"]).out;
    assert_eq!(without_times(&export("one")), without_times(&export("two")));
    assert_eq!(export("one").lines().count(), 14, "a header and the 13 open cases");
}

/// Drops `created_at` and `updated_at`, which say when a case was entered here.
fn without_times(text: &str) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let keep: Vec<bool> =
        reader.headers().unwrap().iter().map(|name| !matches!(name, "created_at" | "updated_at")).collect();
    let row = |record: csv::StringRecord| {
        record.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(cell, _)| cell.to_owned()).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}
