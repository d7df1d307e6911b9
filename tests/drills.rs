//! The short drills, really executed: a fault, its symptom in the metrics, the runbook's own commands, and recovery.
//!
//! `make drills` runs all of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

#[test]
fn a_killed_service_a_stopped_database_and_a_dead_letter_are_found_and_mended_by_their_runbooks() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: the commands of the runbooks need curl");
        return;
    }
    let drilled = Command::new(env!("CARGO_BIN_EXE_docket"))
        .args(["drill", "restart", "database-down", "dead-letters"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&drilled.stdout).into_owned() + &String::from_utf8_lossy(&drilled.stderr);
    assert!(drilled.status.success(), "{said}");
    for (word, times) in [("detected after", 3), ("after the first act", 3)] {
        assert_eq!(said.matches(word).count(), times, "{said}");
    }
}

#[test]
fn every_runbook_can_be_read_by_the_drill() {
    let listed = Command::new(env!("CARGO_BIN_EXE_docket"))
        .args(["drill", "--list"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    assert!(said.lines().count() >= 14, "{said}");
}

#[test]
fn what_this_machine_cannot_drill_is_named_and_fails_who_is_strict() {
    let runbooks = tempfile::tempdir().unwrap();
    let page = "# Nothing here\n```sh stage\necho there is no crane; exit 77\n```\n```sh inject\ntrue\n```\n```sh verify\ntrue\n```\n";
    std::fs::write(runbooks.path().join("crane.md"), page).unwrap();
    let drilled = |more: &[&str]| {
        let docket = Command::new(env!("CARGO_BIN_EXE_docket"))
            .args(["drill", "crane", "--runbooks"])
            .arg(runbooks.path())
            .args(more)
            .output()
            .unwrap();
        (docket.status.success(), String::from_utf8_lossy(&docket.stdout).into_owned())
    };
    let (passed, said) = drilled(&[]);
    assert!(passed && said.contains("there is no crane") && said.contains("lacks something: crane"), "{said}");
    assert!(!drilled(&["--strict"]).0);
}
