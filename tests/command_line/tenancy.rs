//! `docket tenants` and `docket keys` against a real database: what they create works, what they end does not, and all of
//! it is on the audit chain.

use crate::ground::Ground;

const CREATE: [&str; 5] = ["tenants", "create", "rail", "--display-name", "Rail Oversight Board"];

#[tokio::test]
async fn a_tenant_and_a_key_created_here_work_and_what_is_revoked_is_refused() {
    let ground = Ground::new().await;
    assert!(ground.ok(&["tenants", "list"]).await.0.contains("no tenant yet"));
    ground.ok(&CREATE).await;
    let create = ["keys", "create", "--tenant", "rail", "--role", "caseworker", "--name", "Robot", "--kind", "service"];
    let made = ground.json(&[&create[..], &["--expires", "90d", "--json"]].concat()).await;
    let (key, prefix) = (made["key"].as_str().unwrap(), made["api_key"]["prefix"].as_str().unwrap());
    assert_eq!(made["principal"]["roles"], serde_json::json!(["caseworker"]));
    assert_eq!(ground.status("/v1/cases", key).await, 200);

    let rotated = ground.json(&["keys", "rotate", "--tenant", "rail", prefix, "--overlap", "0m", "--json"]).await;
    let successor = rotated["key"].as_str().unwrap();
    assert_eq!(ground.status("/v1/cases", successor).await, 200);
    assert_eq!(ground.status("/v1/cases", key).await, 401, "the overlap is over");

    let (listed, _) = ground.ok(&["keys", "list", "--tenant", "rail"]).await;
    assert!(listed.starts_with("PREFIX") && listed.contains("expired") && listed.contains("live"), "{listed}");
    assert!(!listed.contains(key) && !listed.contains(successor), "no secret in a list");

    let id = rotated["api_key"]["id"].as_str().unwrap();
    let (told, _) = ground.ok(&["keys", "revoke", "--tenant", "rail", id]).await;
    assert!(told.starts_with("revoked key dk_"), "{told}");
    assert_eq!(ground.status("/v1/cases", successor).await, 401);
    let expected = ["tenant.create", "principal.create", "api_key.create", "api_key.rotate", "api_key.revoke"];
    assert_eq!(ground.acts("rail").await, expected);
    let (verified, _) = ground.ok(&["audit", "verify", "--tenant", "rail"]).await;
    assert!(verified.contains("valid") && !verified.contains("NOT"), "{verified}");
}

#[tokio::test]
async fn a_new_key_is_shown_once_and_on_standard_output_only_when_asked() {
    let ground = Ground::new().await;
    let (out, errors) = ground.ok(&[&CREATE[..], &["--admin", "Ada"]].concat()).await;
    assert!(
        !out.contains("dk_") && errors.contains("dk_") && errors.contains("cannot be shown again"),
        "{out}{errors}"
    );
    let admin = errors.split_whitespace().find(|word| word.starts_with("dk_")).unwrap().to_owned();
    assert_eq!(ground.status("/v1/api-keys", &admin).await, 200);
    let create = ["keys", "create", "--tenant", "rail", "--role", "auditor", "--name", "Eve", "--scopes", "audit:read"];
    let (alone, errors) = ground.ok(&[&create[..], &["--secret-only"]].concat()).await;
    assert!(alone.starts_with("dk_") && alone.trim().len() == 59 && !errors.contains("dk_"), "{alone}{errors}");
    assert_eq!(ground.status("/v1/audit/checkpoints", alone.trim()).await, 200);
    assert_eq!(ground.status("/v1/cases", alone.trim()).await, 403, "a scope that it does not have");
}

#[tokio::test]
async fn an_operator_made_here_creates_tenants_through_the_api() {
    let ground = Ground::new().await;
    let (key, _) = ground.ok(&["keys", "operator", "--name", "Ada Quill", "--secret-only"]).await;
    let request = reqwest::Client::new().post(format!("{}/v1/tenants", ground.url)).bearer_auth(key.trim());
    let body = serde_json::json!({"name": "harbour", "display_name": "Harbour"});
    let answer = request.header("idempotency-key", "one").json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(ground.status("/v1/cases", key.trim()).await, 403, "the platform owns no cases");
    // The platform exists now: a second operator joins it.
    let second = ground.json(&["keys", "operator", "--name", "Bea", "--json"]).await;
    assert_eq!(ground.status("/v1/tenants", second["key"].as_str().unwrap()).await, 200);
    assert_eq!(ground.acts("platform").await, ["operator.create", "operator.create"]);
    let listed = ground.json(&["keys", "list", "--tenant", "platform", "--json"]).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_suspended_tenant_is_refused_until_it_is_resumed() {
    let ground = Ground::new().await;
    let made = ground.json(&[&CREATE[..], &["--admin", "Ada", "--json"]].concat()).await;
    let key = made["key"].as_str().unwrap();
    ground.ok(&["tenants", "suspend", "rail"]).await;
    assert_eq!(ground.status("/v1/api-keys", key).await, 401);
    assert!(ground.ok(&["tenants", "show", "rail"]).await.0.contains("suspended"));
    ground.ok(&["tenants", "resume", "rail"]).await;
    assert_eq!(ground.status("/v1/api-keys", key).await, 200);
    assert_eq!(ground.acts("rail").await, ["tenant.create", "tenant.suspend", "tenant.resume"]);
    assert_eq!(ground.json(&["tenants", "list", "--json"]).await["items"][0]["name"], "rail");
}

#[tokio::test]
async fn mistakes_say_what_was_wrong_what_to_do_and_leave_nothing() {
    let ground = Ground::new().await;
    ground.ok(&CREATE).await;
    let (code, said) = ground.fails(&CREATE).await;
    assert!(code == Some(1) && said.contains("already") && said.contains("hint: "), "{said}");
    let (code, said) = ground.fails(&["keys", "list", "--tenant", "nobody"]).await;
    assert!(code == Some(1) && said.contains("no tenant \"nobody\"") && said.contains("docket tenants list"), "{said}");
    let (code, said) = ground.fails(&["keys", "revoke", "--tenant", "rail", "Zk3Qw81LmNop"]).await;
    assert!(code == Some(1) && said.contains("docket keys list"), "{said}");
    let create = ["keys", "create", "--tenant", "rail", "--name", "Eve", "--role"];
    for (more, word) in [
        (vec!["operator"], "roles"),
        (vec!["boss"], "is not a role"),
        (vec!["auditor", "--scopes", "cases:write"], "does not suit"),
        (vec!["auditor", "--expires", "2001-01-01T00:00:00Z"], "future"),
        (vec!["auditor", "--expires", "soon"], "90d"),
        (vec!["auditor", "--label", ""], "empty"),
    ] {
        let (code, said) = ground.fails(&[&create[..], &more].concat()).await;
        assert!(code == Some(2) && said.contains(word), "{more:?}: {code:?} {said}");
    }
    for name in ["Rail", "-a", "platform"] {
        assert_eq!(ground.fails(&["tenants", "create", name, "--display-name", "x"]).await.0, Some(2), "{name}");
    }
    assert_eq!(ground.acts("rail").await, ["tenant.create"], "nothing else happened");
}
