//! S1: schemathesis makes requests from the OpenAPI document. No 5xx, and no answer that the document does not describe.

use std::path::{Path, PathBuf};
use std::process::Command;

use docket_domain::principal::Role;

use crate::support::report::{Findings, turn};
use crate::support::service::Service;
use crate::support::settings::number;
use crate::support::stage::Stage;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_request_gets_a_server_error_or_an_undocumented_answer() {
    let Some(program) = schemathesis() else {
        println!("SKIPPED S1: schemathesis is not installed; `make venv` installs it into .venv");
        return;
    };
    let _turn = turn().await;
    // The short form makes the same requests each time; the long one is given a seed of its own.
    let (seconds, examples, seed) =
        (number("DOCKET_CRASH_FUZZ_SECONDS", 30), number("DOCKET_CRASH_EXAMPLES", 30), number("DOCKET_CRASH_SEED", 1));
    println!("S1 begins with seed {seed}");
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let mut service = Service::start(&stage).await;
    let mut command = Command::new(program);
    command
        .args(["run", &format!("{}/openapi.json", service.url), "--checks", CHECKS, "--no-color", "--no-shrink"])
        .args(["--continue-on-failure", "--warnings", "off", "--generation-database", "none"])
        .args([
            "--max-examples",
            &examples.to_string(),
            "--max-time",
            &seconds.to_string(),
            "--seed",
            &seed.to_string(),
        ])
        .args(["--header", &format!("Authorization: Bearer {}", stage.tenants[0].keys[&Role::Supervisor])])
        .env("SCHEMATHESIS_HOOKS", "well_formed_headers")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash/schemathesis"))
        .current_dir(stage.directory.path());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let summary = text.lines().map(str::trim).filter(|line| line.contains(" generated"));
    println!("S1 seed {seed}: {}", summary.collect::<Vec<_>>().join("; "));
    if !output.status.success() {
        println!("{text}{}", String::from_utf8_lossy(&output.stderr));
        findings.add("schemathesis found failures: see above");
    }
    findings.expect(service.is_alive(), || "the service died of a generated request".to_owned());
    findings.assert_none();
}

fn schemathesis() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/schemathesis");
    path.exists().then_some(path)
}
