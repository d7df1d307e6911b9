//! The batteries prove that they can fail: each seeded fault must make its battery find something.

use std::process::Command;

use docket::faults::Fault;

use crate::support::report::turn;

const KILL: &str = "kill_service::nothing_acknowledged_is_lost_or_doubled_when_the_service_is_killed";
const SAME_KEY: &str = "same_key::a_key_has_one_effect_however_often_it_is_sent_at_once";
const ONE_CASE: &str = "one_case::successes_on_one_case_are_versions_and_every_step_is_in_the_table";
const MATRIX: &str = "tenant_matrix::a_foreign_id_is_answered_like_a_missing_one_everywhere";
const SHARED: &str = "shared_connections::twenty_tenants_on_two_connections_see_and_change_only_their_own_rows";
const TOKENS: &str = "forged_tokens::no_forged_token_is_accepted_and_guessing_ends_after_ten_tries";
const FROZEN: &str = "jobs::a_worker_that_was_frozen_past_its_lease_ends_no_job_twice";
const CLOCKS: &str = "jobs::clocks_that_are_wrong_by_an_hour_end_no_lease_early_and_give_no_job_twice";

const ORDER: &str = "relay_order::no_event_is_missed_or_reordered_however_late_it_commits";
const BROWN_OUT: &str = "model_brownout::nearly_everybody_is_answered_while_a_provider_browns_out";
const POISONED: &str = "poisoned::documents_that_give_orders_win_nothing";
const PLUGINS: &str = "plugin_injections::whatever_plugins_do_the_gateway_serves_and_the_next_call_works";
const SSRF: &str = "ssrf::no_byte_reaches_an_address_inside_the_house";

/// The battery that must catch a fault.
fn battery(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::SkipReplay | Fault::KeyLockNotTaken | Fault::ReplayWithoutFingerprint => ("R7", SAME_KEY),
        Fault::AnswerAfterCommit
        | Fault::AcknowledgeBeforeCommit
        | Fault::OutboxAfterCommit
        | Fault::AuditNotChained => ("R1", KILL),
        Fault::NoVersionGuard => ("R8", ONE_CASE),
        // Queries name their tenant themselves, too, so that without row-level security only a bare connection shows more.
        Fault::TenantSettingKept | Fault::RowSecurityBypassed | Fault::RowSecurityOffOnOneTable => ("S3", SHARED),
        Fault::ListWithoutVisibility | Fault::CursorNotChecked => ("S2", MATRIX),
        Fault::NoFencing => ("R5", FROZEN),
        // Fencing keeps the effects of a job that is given twice single, so the battery that counts attempts must see it.
        Fault::LeaseByServiceClock | Fault::ClaimOutsideTransaction => ("R13", CLOCKS),
        Fault::RelaySkipsTheHorizon => ("R9", ORDER),
        Fault::WebhookFollowsRedirects => ("S4", SSRF),
        Fault::RetriesWithoutBudget => ("R11", BROWN_OUT),
        Fault::PassagesBeyondSight | Fault::MarksLeftInPassages => ("S8", POISONED),
        Fault::PluginChildrenSurvive => ("R19", PLUGINS),
        Fault::AnyAudience | Fault::TokenSignatureIgnored | Fault::GuessesNotCounted => ("S7", TOKENS),
    }
}

#[tokio::test]
async fn each_seeded_fault_is_caught_by_its_battery() {
    let _turn = turn().await;
    let mut missed = Vec::new();
    for (fault, name) in Fault::ALL {
        let (short, test) = battery(*fault);
        let output = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env("DOCKET_FAULT", name)
            .env("DOCKET_CRASH_KILLS", "6")
            .env("DOCKET_CRASH_STEPS", "1000")
            .env("RUST_BACKTRACE", "0")
            .env_remove("DOCKET_CRASH_FIGURES")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        let finding = printed.lines().find_map(|line| line.strip_prefix("FINDING "));
        match (output.status.success(), finding) {
            (false, Some(finding)) => {
                println!("fault {name} caught by {short}: {}", finding.chars().take(160).collect::<String>());
            }
            (true, _) => missed.push(format!("{short} passed in spite of {name}")),
            (false, None) => {
                let error = String::from_utf8_lossy(&output.stderr);
                missed.push(format!(
                    "{short} failed under {name} without a finding: {}",
                    error.lines().take(6).collect::<Vec<_>>().join(" | ")
                ));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
