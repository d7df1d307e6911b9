//! The arrows as a test: which layer may name which, where each technology lives, and how long a file may grow.
//!
//! Every rule is a function in `architecture/rules.rs`, and each proves here on an offending snippet that it can fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use rules::{LONG_FILES, RULES};
use source::{Source, blank_comments_and_literals, directories, files};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn project_sources() -> Vec<Source> {
    let mut sources = files(root(), "src", "rs");
    sources.extend(files(root(), "domain/src", "rs"));
    assert!(sources.len() > 10, "the sources were not found below {}", root().display());
    sources
}

fn assert_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} finding(s):\n  {}", findings.len(), findings.join("\n  "));
}

#[test]
fn the_sources_keep_every_rule() {
    let sources = project_sources();
    let mut findings = Vec::new();
    for (name, rule) in RULES {
        findings.extend(sources.iter().flat_map(rule).map(|finding| format!("[{name}] {finding}")));
    }
    assert_none(&findings);
}

#[test]
fn every_directory_of_src_is_a_known_room() {
    assert_none(&rules::unknown_rooms(&directories(root(), "src")));
}

#[test]
fn the_list_of_long_files_only_shrinks() {
    assert_none(&rules::needless_exceptions(&project_sources(), LONG_FILES));
}

#[test]
fn every_migration_says_why_it_exists() {
    let findings: Vec<String> =
        files(root(), "migrations", "sql").iter().flat_map(rules::migration_opens_with_comment).collect();
    assert_none(&findings);
}

/// Asserts that a rule finds exactly one fault in the first snippet and none in the second.
#[track_caller]
fn assert_catches(rule: rules::Rule, path: &str, offending: &str, harmless: &str) {
    let found = rule(&Source::new(path, offending));
    assert_eq!(found.len(), 1, "expected one finding in {offending:?}, got {found:?}");
    assert!(found[0].starts_with(&format!("{path}:")), "a finding names the place: {found:?}");
    assert_eq!(rule(&Source::new(path, harmless)), Vec::<String>::new(), "no finding expected in {harmless:?}");
}

#[test]
fn an_entrypoint_that_names_an_adapter_is_caught() {
    let path = "src/entrypoints/http/cases.rs";
    assert_catches(rules::arrows, path, "use crate::adapters::postgres::Pool;", "// crate::adapters is not for us");
    assert_catches(rules::arrows, path, "use crate::{\n    adapters::system,\n};", "let text = \"adapters\";");
    assert_catches(rules::arrows, path, "docket::adapters::run();", "use crate::application::cases;");
}

#[test]
fn an_adapter_that_names_an_entrypoint_is_caught() {
    let path = "src/adapters/postgres/cases.rs";
    assert_catches(
        rules::arrows,
        path,
        "use crate::entrypoints::http::Problem;",
        "use crate::application::ports::Clock;",
    );
}

#[test]
fn an_application_that_names_either_side_is_caught() {
    let path = "src/application/cases/create_case.rs";
    assert_catches(rules::arrows, path, "use crate::adapters::system::SystemClock;", "use super::ports::Clock;");
    assert_catches(rules::arrows, path, "use crate::entrypoints::cli;", "use docket_domain::case::Case;");
}

#[test]
fn an_adapter_that_names_another_adapter_is_caught() {
    let path = "src/adapters/postgres/cases.rs";
    let harmless = "use crate::adapters::postgres::rows::CaseRow;";
    assert_catches(rules::adapters_stay_apart, path, "use crate::adapters::system::SystemClock;", harmless);
}

#[test]
fn a_technology_outside_its_home_is_caught() {
    let rule = rules::technologies_stay_at_home;
    let use_case = "src/application/cases/create_case.rs";
    assert_catches(rule, use_case, "use sqlx::PgPool;", "/* sqlx::query! */ let a = 1;");
    assert_catches(rule, use_case, "#[derive(sqlx::FromRow)]", "let url = r#\"sqlx::query(\"x\")\"#;");
    assert_catches(rule, use_case, "let client = reqwest::Client::new();", "let axum_like = 'a';");
    assert_catches(rule, "src/config/mod.rs", "use object_store as store;", "self.object_store.root");
    assert_catches(rule, "src/adapters/postgres/cases.rs", "use axum::Json;", "sqlx::query!(\"select 1\");");
    assert_catches(rule, "src/adapters/system/mod.rs", "use pyo3::Python;", "use crate::adapters::python::Pool;");
}

#[test]
fn joining_ports_and_adapters_outside_the_bootstrap_is_caught() {
    let joined = "use crate::application::ports::Clock;\nuse crate::adapters::system::SystemClock;";
    assert_catches(
        rules::only_bootstrap_joins,
        "src/config/mod.rs",
        joined,
        "use crate::adapters::system::SystemClock;",
    );
    assert_eq!(rules::only_bootstrap_joins(&Source::new("src/bootstrap.rs", joined)), Vec::<String>::new());
}

#[test]
fn an_impure_domain_is_caught() {
    let path = "domain/src/case/mod.rs";
    assert_catches(rules::domain_is_pure, path, "pub async fn load() {}", "/// Never async.\npub fn decide() {}");
    assert_catches(rules::domain_is_pure, path, "OffsetDateTime::now_utc()", "fn due(now: OffsetDateTime) {}");
    assert_catches(rules::domain_is_pure, path, "let now = std::time::SystemTime::now();", "let operand = 1;");
    assert_catches(rules::domain_is_pure, path, "let id = rand::random();", "let brand = 2;");
}

#[test]
fn a_file_that_does_not_say_what_it_is_for_is_caught() {
    assert_catches(rules::starts_with_module_doc, "src/lib.rs", "use std::fmt;", "//! The map.\nuse std::fmt;");
}

#[test]
fn a_file_that_outgrew_its_reader_is_caught_and_its_tests_do_not_count() {
    let long = "let a = 1;\n".repeat(rules::LONGEST_FILE + 1);
    let with_tests = format!("let a = 1;\n#[cfg(test)]\n#[allow(dead_code)]\nmod tests {{\n{long}}}\n");
    assert_catches(rules::stays_short, "src/bootstrap.rs", &long, &with_tests);
}

#[test]
fn printing_from_the_library_is_caught() {
    let harmless = "tracing::info!(\"started\");";
    assert_catches(rules::does_not_print, "src/bootstrap.rs", "    println!(\"started\");", harmless);
    assert_catches(rules::does_not_print, "src/bootstrap.rs", "let a = dbg!(1);", "let print = 1;");
    let cli = Source::new("src/entrypoints/cli/mod.rs", "println!(\"ready\");");
    assert_eq!(rules::does_not_print(&cli), Vec::<String>::new());
}

#[test]
fn a_migration_without_a_reason_is_caught() {
    let path = "migrations/0001_cases.sql";
    assert_catches(rules::migration_opens_with_comment, path, "create table a ();", "-- Cases.\ncreate table a ();");
}

#[test]
fn an_unknown_room_and_a_needless_exception_are_caught() {
    assert_eq!(rules::unknown_rooms(&["application/cases".to_owned(), "utils".to_owned()]).len(), 1);
    let short = Source::new("src/lib.rs", "//! The map.\n");
    assert_eq!(rules::needless_exceptions(&[short], &["src/lib.rs", "src/gone.rs"]).len(), 2);
}

#[test]
fn blanking_keeps_line_numbers_lifetimes_and_code_after_literals() {
    let text = "let a = \"x\\\"y\nz\"; // c\nlet b = b'\\''; /* d /* e */ f */ g::<'a>(br##\"h\"# \"##)";
    let code = blank_comments_and_literals(text);
    assert_eq!(code.lines().count(), text.lines().count());
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(words, ["let", "a", "=", ";", "let", "b", "=", "b", ";", "g::<'a>(b", ")"]);
}
