//! A client that a public generator writes from the OpenAPI document works, without a word about it from us.

use docket_domain::principal::Role;
use serde_json::{Value, json};

use crate::database_support::database::project_root;
use crate::support::TestApp;

#[tokio::test]
async fn a_generated_client_takes_a_case_from_draft_to_submission() {
    let app = TestApp::start().await;
    let directory = tempfile::tempdir().unwrap();
    let said = tokio::process::Command::new(project_root().join(".venv/bin/python"))
        .arg(project_root().join("tests/generated_client/walk.py"))
        .args([&app.url, app.key(Role::Supervisor)])
        .arg(directory.path())
        .output()
        .await
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let saw: Value = serde_json::from_slice(&said.stdout).unwrap();
    let expected = json!({
        // The generator leaves out, with a warning, what it cannot express.
        "warnings": [],
        "created": [201, "draft"],
        "submitted": [200, "submitted"],
        "stale": [412, saw["stale"][1]],
        "listed": [true],
        "trail": ["case.create", "case.submit"],
        "missing": 404,
    });
    assert_eq!(saw, expected);
    assert!(saw["stale"][1].as_str().unwrap().ends_with("/problems/precondition-failed"), "{saw}");
}
