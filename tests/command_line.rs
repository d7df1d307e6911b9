//! The command line as a user meets it: help, settings, mistakes and exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

#[path = "support/mod.rs"]
mod database_support;
#[path = "command_line/ground.rs"]
mod ground;
#[path = "command_line/ingest.rs"]
mod ingest;
#[path = "command_line/jobs.rs"]
mod jobs;
#[path = "command_line/judging.rs"]
mod judging;
#[path = "support/model_server.rs"]
mod model_server;
#[path = "command_line/outbox.rs"]
mod outbox;
#[path = "support/receiver.rs"]
mod receiver;
#[path = "command_line/sinks.rs"]
mod sinks;
#[path = "command_line/tenancy.rs"]
mod tenancy;
#[path = "support/word_judge.rs"]
mod word_judge;

use std::process::{Command, Output};

/// Runs the program in an empty directory with nothing but these variables.
fn docket(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_docket"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(directory.path())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn mistakes_in_the_settings_stop_the_start_with_exit_code_2() {
    let environment = [("DOCKET_SERVER__MAX_IN_FLIGHT", "0"), ("DATABASE_URL", "mysql://u:hunter2@h/d")];
    let output = docket(&["serve", "--bind", "nowhere"], &environment);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.starts_with("error: 3 settings are not valid"), "{errors}");
    assert!(
        errors.contains("server.bind = \"nowhere\" (from flag --bind): allowed is IP address and port"),
        "{errors}"
    );
    assert!(errors.contains("whole number from 1 to 100000") && errors.contains("\nhint: "), "{errors}");
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn wrong_usage_is_exit_code_2_and_help_is_0() {
    assert_eq!(docket(&["fly"], &[]).status.code(), Some(2));
    assert_eq!(docket(&["--set", "novalue", "config"], &[]).status.code(), Some(2));
}

/// The subcommands that a help page lists.
fn listed(help: &str) -> Vec<String> {
    let commands = help.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
    let name = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    commands.lines().filter_map(name).filter(|name| !name.is_empty() && name != "help").collect()
}

#[test]
fn the_help_of_every_command_at_every_depth_has_examples() {
    let mut left: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = 0;
    while let Some(path) = left.pop() {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let output = docket(&arguments, &[]);
        assert_eq!(output.status.code(), Some(0), "{path:?}");
        let help = text(&output.stdout);
        assert!(help.contains("Examples:"), "{path:?} has no examples");
        left.extend(listed(help).into_iter().map(|name| [&path[..], &[name]].concat()));
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_default_file_is_a_valid_configuration_of_its_own() {
    let default = docket(&["config", "--default"], &[]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &default.stdout).unwrap();
    let output = docket(&["--config", file.path().to_str().unwrap(), "config"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("# file "), "{}", text(&output.stdout));
}

#[test]
fn the_effective_settings_name_their_origin_and_mask_secrets() {
    let key = "ab".repeat(32);
    let environment = [("DATABASE_URL", "postgres://docket:hunter2@db/docket"), ("DOCKET_SECURITY__CURSOR_KEY", &key)];
    let output = docket(&["config"], &environment);
    let shown = text(&output.stdout);
    assert!(shown.contains("postgres://docket:***@db/docket"), "{shown}");
    assert!(shown.contains("# environment variable DATABASE_URL"), "{shown}");
    assert!(!shown.contains("hunter2") && !shown.contains(&key), "{shown}");
}

#[test]
fn every_shell_gets_a_completion_script() {
    for shell in ["bash", "zsh", "fish"] {
        let output = docket(&["completions", shell], &[]);
        assert!(output.status.success() && text(&output.stdout).contains("serve"), "{shell}");
    }
}
