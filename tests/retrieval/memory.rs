//! What searches found, remembered: how long, and for whom.

use docket_domain::principal::Role;
use serde_json::{Value, json};

use crate::service::{TEXTS, bring, eventually, search, texts};
use crate::support::TestApp;

/// From memory only the passages are read; indexes are not asked.
fn from_memory(answer: &Value) -> bool {
    let stages: Vec<&str> =
        answer["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    stages == ["read"]
}

#[tokio::test]
async fn a_search_asked_again_is_remembered_until_a_document_comes_or_goes() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    bring(&app, &owner, 0, "public", &TEXTS).await;
    let body = json!({"query": "incident notification"});
    let found = eventually(&app, 0, Role::Reporter, &body, |answer| {
        !from_memory(answer) && answer["hits"][0]["stages"]["keywords"].is_object()
    });
    let found = found.await;
    let again = json!({"query": "  incident\n notification "});
    let remembered = eventually(&app, 0, Role::Reporter, &again, from_memory).await;
    assert_eq!(remembered["hits"], found["hits"]);
    assert_eq!(remembered["method"], found["method"]);
    let other = search(&app, 0, Role::Reporter, &json!({"query": "incident notification", "limit": 1})).await;
    assert!(!from_memory(&other), "{other}");

    let more = "Every incident is notified by telephone, too.";
    let document = bring(&app, &owner, 0, "public", &[more]).await;
    eventually(&app, 0, Role::Reporter, &body, |answer| texts(answer).contains(&more.to_owned())).await;
    eventually(&app, 0, Role::Reporter, &body, from_memory).await;
    sqlx::query("DELETE FROM docket.documents WHERE id = $1").bind(document).execute(&owner).await.unwrap();
    let after = search(&app, 0, Role::Reporter, &body).await;
    assert!(!texts(&after).contains(&more.to_owned()), "gone at once, whatever is remembered: {after}");
    assert!(!from_memory(&after), "{after}");
}

#[tokio::test]
async fn what_one_finds_is_remembered_for_nobody_who_sees_less_or_elsewhere() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    let secret = "The reactor at Northport has a hairline crack in its vessel.";
    bring(&app, &owner, 0, "restricted", &[secret]).await;
    bring(&app, &owner, 1, "public", &["The reactor at Southport is sound."]).await;
    let body = json!({"query": "reactor crack"});
    eventually(&app, 0, Role::Supervisor, &body, |answer| texts(answer) == [secret] && from_memory(answer)).await;
    eventually(&app, 1, Role::Supervisor, &body, |answer| texts(answer).len() == 1 && from_memory(answer)).await;
    for (tenant, role) in [(0, Role::Reporter), (0, Role::Caseworker), (1, Role::Reporter)] {
        let first = search(&app, tenant, role, &body).await;
        assert!(!from_memory(&first), "{role} of tenant {tenant}: {first}");
        let second = search(&app, tenant, role, &body).await;
        assert!(!second.to_string().contains("Northport"), "{role} of tenant {tenant}: {second}");
        // Nothing found is not remembered: the first vectors may be on their way.
        let remembered =
            eventually(&app, tenant, role, &body, |answer| from_memory(answer) || texts(answer).is_empty());
        assert_eq!(texts(&remembered.await).len(), tenant, "{role} of tenant {tenant}");
    }
    let still = search(&app, 0, Role::Supervisor, &body).await;
    assert_eq!(texts(&still), [secret]);
}
