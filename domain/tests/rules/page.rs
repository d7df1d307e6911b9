//! The page `docs/case-lifecycle.md`, generated from the transition table and kept fresh.

use std::fmt::Write;

use docket_domain::case::deadline::working_days;
use docket_domain::case::{Severity, State, diagram};

use super::snapshot::{assert_fresh, workspace};

const HEAD: &str = "# The life of a case

This page is generated from the transition table in `domain/src/case/transitions.rs`; do not edit it by hand. After a
change of the table run `UPDATE_SNAPSHOTS=1 cargo test --package docket-domain --test rules` and read the difference,
here and in `domain/tests/transition_matrix.txt`, which says the same as the rules actually behave.

";

const TABLE: &str = "
## The table

A row reads: in this state, this command leads to that state, for these roles, if these guards hold. What is not in the
table is refused. Guards are judged in the order given; the first that fails is the reason in the answer. Their sentences
stand in `domain/src/case/guard.rs`. The role `system` is docket itself and is never given to a key or a token.

";

fn page() -> String {
    let mut page = format!("{HEAD}```mermaid\n{}```\n", diagram::mermaid());
    page.push_str("\nCommands that stay in their state (assign, add_note, add_evidence, link, extend_deadline and some\nquestions and answers) are left out of the picture.\n\n## Deadlines\n\n| severity | working days from submission |\n|---|---|\n");
    for severity in Severity::ALL {
        let _ = writeln!(page, "| {severity} | {} |", working_days(*severity));
    }
    page.push_str(concat!(
        "\nThe clock stands still exactly while a case is in `awaiting_information`; the due date moves by the working time of the pause.\n",
        "Reopening sets a new due date, counted from that moment, and gives the one extension back.\n",
        "Warnings, the breach and the calendar: [deadlines](deadlines.md).\n"
    ));
    page + TABLE + &diagram::markdown_table()
}

#[test]
fn the_page_of_the_life_cycle_is_fresh() {
    assert_fresh(&workspace().join("docs/case-lifecycle.md"), &page());
}

#[test]
fn the_diagram_shows_where_a_life_begins_and_ends() {
    let mermaid = diagram::mermaid();
    assert!(mermaid.starts_with("stateDiagram-v2\n    [*] --> draft\n"));
    let ends: Vec<_> = mermaid.lines().filter(|line| line.ends_with("--> [*]")).collect();
    assert_eq!(ends, ["    closed --> [*]", "    withdrawn --> [*]"]);
    let loops = State::ALL.iter().any(|state| mermaid.contains(&format!("{state} --> {state}:")));
    assert!(!loops, "commands that stay in their state would only add loops");
    assert!(
        diagram::markdown_table()
            .contains("| decided | close | closed | caseworker, supervisor, system | no_open_information_request |")
    );
}
