//! S1: schemathesis makes requests from the OpenAPI document, as two roles and as nobody at the same time. No 5xx, and no answer
//! that the document does not describe; and nobody is told anything but to authenticate.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use docket_domain::principal::Role;
use tokio::task::JoinSet;

use crate::support::client::{Client, Request};
use crate::support::report::{Findings, turn};
use crate::support::service::Service;
use crate::support::settings::{number, random};
use crate::support::stage::Stage;

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
/// An administrator could make the service send messages to whatever address is generated, and take its own key or roles
/// away. As the supervisor asks for these, too, their refusals are seen.
const NEITHER_SENDS_NOR_RESIGNS: [&str; 10] = [
    "--exclude-operation-id",
    "post_webhook",
    "--exclude-operation-id",
    "patch_webhook",
    "--exclude-operation-id",
    "delete_api_key",
    "--exclude-operation-id",
    "post_rotation",
    "--exclude-operation-id",
    "patch_principal",
];
/// Nobody has no use for many ways to be wrong: each operation is asked rightly.
const ONLY_RIGHT: [&str; 4] = ["--phases", "coverage", "--mode", "positive"];

/// Who asks.
struct Pass {
    name: &'static str,
    key: Option<String>,
    /// A check of `hooks.py` beside [`CHECKS`].
    check: Option<&'static str>,
    arguments: &'static [&'static str],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_generated_request_gets_a_server_error_or_an_undocumented_answer() {
    let Some(program) = schemathesis() else {
        println!("SKIPPED S1: schemathesis is not installed; `make venv` installs it into .venv");
        return;
    };
    let _turn = turn().await;
    // The short form makes the same requests each time; the long one is given a seed of its own.
    let seed = number("DOCKET_CRASH_SEED", 1);
    println!("S1 begins with seed {seed}");
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    // Whoever asks as nobody fails to authenticate again and again; the lock-out is held elsewhere (S7).
    let mut service = Service::start_with(&stage, &[("DOCKET_LIMITS__FAILED_LOGINS_PER_MINUTE", "10000")]).await;
    let (supervisor, administrator) = (&stage.tenants[0].keys[&Role::Supervisor], &stage.tenants[1].keys[&Role::Admin]);
    // The administrator has a tenant of its own, which it may change for everybody in it.
    let passes = [
        Pass { name: "supervisor", key: Some(supervisor.clone()), check: None, arguments: &[] },
        Pass {
            name: "administrator",
            key: Some(administrator.clone()),
            check: None,
            arguments: &NEITHER_SENDS_NOR_RESIGNS,
        },
        Pass { name: "nobody", key: None, check: Some("nobody_is_told_to_authenticate"), arguments: &ONLY_RIGHT },
    ];
    let (mut running, began) = (JoinSet::new(), Instant::now());
    for pass in &passes {
        let (name, mut command) = (pass.name, command(&program, &service, &stage, pass, seed));
        running.spawn_blocking(move || (name, command.output().unwrap()));
    }
    let (mut all, mut words) = (0, Vec::new());
    while let Some(done) = running.join_next().await {
        let (name, output) = done.unwrap();
        let (generated, tested) = (said(&output, " generated"), said(&output, "Tested:"));
        all += generated;
        words.push(format!("{generated} as {name} of {tested} operations"));
        findings.expect(generated > 0, || format!("nothing was asked as {name}"));
        if !output.status.success() {
            println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            findings.add(format!("schemathesis found failures as {name}: see above"));
        }
    }
    // Whoever lost its own credential on the way was told 401 ever after, which is documented everywhere.
    let client = Client::new(&service.url, &findings);
    for (name, key) in passes.iter().filter_map(|pass| Some((pass.name, pass.key.as_ref()?))) {
        let answer = client.send(&Request::get(key, "/v1/whoami")).await;
        findings.expect(answer.is_some_and(|answer| answer.status == 200), || format!("the {name} is nobody by now"));
    }
    println!("S1 seed {seed}: {all} requests in {:.1?}; {}", began.elapsed(), words.join(", "));
    findings.expect(service.is_alive(), || "the service died of a generated request".to_owned());
    findings.assert_none();
}

fn command(program: &Path, service: &Service, stage: &Stage, pass: &Pass, seed: u64) -> Command {
    let (seconds, examples) = (number("DOCKET_CRASH_FUZZ_SECONDS", 45), number("DOCKET_CRASH_EXAMPLES", 30));
    let checks = [CHECKS].into_iter().chain(pass.check).collect::<Vec<_>>().join(",");
    // Each asks something else.
    let seed = random(seed).part(pass.name.len() as u64).below(1_000_000).to_string();
    let mut command = Command::new(program);
    command
        .args(["run", &format!("{}/openapi.json", service.url), "--checks", &checks, "--no-color", "--no-shrink"])
        .args(["--continue-on-failure", "--warnings", "off", "--generation-database", "none"])
        .args(["--max-examples", &examples.to_string(), "--max-time", &seconds.to_string(), "--seed", &seed])
        .args(pass.arguments)
        .args(pass.key.iter().flat_map(|key| ["--header".to_owned(), format!("Authorization: Bearer {key}")]))
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/crash/schemathesis"))
        .current_dir(stage.directory.path());
    command
}

/// The number beside this word in the summary, 0 when there is none.
fn said(output: &Output, word: &str) -> u64 {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().map(str::trim).find(|line| line.contains(word)).unwrap_or_default();
    let number = line.split_whitespace().find_map(|part| part.replace(',', "").parse().ok());
    number.unwrap_or_default()
}

fn schemathesis() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/schemathesis");
    path.exists().then_some(path)
}
