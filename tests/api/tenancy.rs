//! Tenants, principals and API keys: who may administer them, what is refused at once, what is never shown again.

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, TestApp};

/// A row of the trail: position, action, record, hash before, hash.
type Link = (i64, String, String, Vec<u8>, Vec<u8>);

impl TestApp {
    async fn send(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path, key).header("idempotency-key", Uuid::new_v4().to_string());
        Answer::of(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    async fn admin(&self, method: Method, path: &str, body: Value) -> Value {
        let answer = self.send(method, path, self.key(Role::Admin), Some(body)).await;
        assert!(answer.status < 300, "{path}: {}", answer.text);
        answer.json()
    }

    /// A new caseworker with a key: principal, key record, key.
    async fn newcomer(&self) -> (String, String, String) {
        let body = json!({"display_name": "Ada Newcomer", "roles": ["caseworker"]});
        let principal = self.admin(Method::POST, "/v1/principals", body).await["id"].as_str().unwrap().to_owned();
        let body = json!({"principal_id": principal, "label": "laptop"});
        let key = self.admin(Method::POST, "/v1/api-keys", body).await;
        (principal, key["id"].as_str().unwrap().to_owned(), key["key"].as_str().unwrap().to_owned())
    }

    async fn status(&self, key: &str) -> u16 {
        Answer::of(self.request(Method::GET, "/v1/whoami", key)).await.status
    }
}

#[tokio::test]
async fn everybody_learns_who_they_are() {
    let app = TestApp::start().await;
    let me = app.get("/v1/whoami", Role::Auditor).await.json();
    assert_eq!(me["principal"]["id"], app.principal(Role::Auditor).to_string());
    assert_eq!((&me["tenant"]["name"], &me["roles"]), (&json!("alpha"), &json!(["auditor"])));
    assert_eq!(
        Answer::of(app.request(Method::GET, "/v1/whoami", &app.operator_key)).await.json()["roles"][0],
        "operator"
    );
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_once() {
    let app = TestApp::start().await;
    let (_, id, key) = app.newcomer().await;
    assert_eq!(app.status(&key).await, 200, "the key is in this node's memory now");
    let revoked = app.send(Method::DELETE, &format!("/v1/api-keys/{id}"), app.key(Role::Admin), None).await;
    assert!(revoked.status == 200 && revoked.json()["revoked_at"].is_string(), "{}", revoked.text);
    assert_eq!(app.status(&key).await, 401);
    let again = app.send(Method::DELETE, &format!("/v1/api-keys/{id}"), app.key(Role::Admin), None).await;
    assert_eq!(again.json()["revoked_at"], revoked.json()["revoked_at"]);
}

#[tokio::test]
async fn a_revoked_key_that_another_process_remembers_is_refused_there_when_its_memory_ends() {
    let app = TestApp::start_with(|config| config.security.api_key_cache_seconds = 3).await;
    let other = app.beside(|_| {}).await;
    let (_, id, key) = app.newcomer().await;
    let ask = async || app.client.get(format!("{other}/v1/whoami")).bearer_auth(&key).send().await.unwrap().status();
    assert_eq!(ask().await, 200, "the other process has the key in its memory now");
    let revoked = app.send(Method::DELETE, &format!("/v1/api-keys/{id}"), app.key(Role::Admin), None).await;
    assert_eq!((revoked.status, app.status(&key).await), (200, 401), "{}", revoked.text);
    let began = std::time::Instant::now();
    while ask().await != 401 {
        // Asking does not renew the memory, or this would never end.
        assert!(began.elapsed().as_secs() < 30, "the other process still lets the key in");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_expired_key_is_refused_at_its_instant() {
    let app = TestApp::start().await;
    let soon = (time::OffsetDateTime::now_utc() + time::Duration::milliseconds(700))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let body = json!({"principal_id": app.principal(Role::Reporter), "label": "short", "expires_at": soon});
    let key = app.admin(Method::POST, "/v1/api-keys", body).await["key"].as_str().unwrap().to_owned();
    assert_eq!(app.status(&key).await, 200);
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    assert_eq!(app.status(&key).await, 401, "though the key is in this node's memory");
}

#[tokio::test]
async fn a_disabled_principals_keys_are_refused_at_once_and_accepted_again_when_it_is_enabled() {
    let app = TestApp::start().await;
    let (principal, _, key) = app.newcomer().await;
    assert_eq!(app.status(&key).await, 200);
    let path = format!("/v1/principals/{principal}");
    app.admin(Method::PATCH, &path, json!({"disabled": true})).await;
    assert_eq!(app.status(&key).await, 401);
    app.admin(Method::PATCH, &path, json!({"disabled": false})).await;
    assert_eq!(app.status(&key).await, 200);
}

#[tokio::test]
async fn changed_roles_hold_from_the_next_request_on() {
    let app = TestApp::start().await;
    let (principal, _, key) = app.newcomer().await;
    assert_eq!(app.status(&key).await, 200);
    app.admin(Method::PATCH, &format!("/v1/principals/{principal}"), json!({"roles": ["auditor"]})).await;
    assert_eq!(Answer::of(app.request(Method::GET, "/v1/whoami", &key)).await.json()["roles"], json!(["auditor"]));
}

#[tokio::test]
async fn a_suspended_tenants_keys_are_refused_at_once_until_it_is_resumed() {
    let app = TestApp::start().await;
    let id = app.get("/v1/whoami", Role::Reporter).await.json()["tenant"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/tenants/{id}");
    let suspended = app.send(Method::PATCH, &path, &app.operator_key, Some(json!({"suspended": true}))).await;
    assert_eq!((suspended.status, &suspended.json()["suspended"]), (200, &json!(true)));
    assert_eq!(app.status(app.key(Role::Reporter)).await, 401);
    assert_eq!(app.status(&app.tenants[1].keys[&Role::Reporter]).await, 200, "the other tenant works on");
    app.send(Method::PATCH, &path, &app.operator_key, Some(json!({"suspended": false}))).await;
    assert_eq!(app.status(app.key(Role::Reporter)).await, 200);
}

#[tokio::test]
async fn a_replayed_key_creation_does_not_reveal_the_secret() {
    let app = TestApp::start().await;
    let body = json!({"principal_id": app.principal(Role::Reporter), "label": "laptop"});
    let send = || {
        let request = app.request(Method::POST, "/v1/api-keys", app.key(Role::Admin));
        Answer::of(request.header("idempotency-key", "once").json(&body))
    };
    let (first, second) = (send().await, send().await);
    assert_eq!((first.status, second.status), (201, 201));
    assert_eq!((first.header("idempotent-replayed"), second.header("idempotent-replayed")), ("", "true"));
    assert_eq!(first.header("location"), second.header("location"));
    let (mut first, second) = (first.json(), second.json());
    let key = first.as_object_mut().unwrap().remove("key").unwrap();
    assert_eq!(first, second, "the replay is the same answer without the key");
    assert_eq!(second["secret_shown_once"], true);
    // The secret itself may hold underscores.
    let secret = key.as_str().unwrap().splitn(3, '_').last().unwrap().to_owned();
    let owner = app.superuser().await;
    for table in ["api_keys", "idempotency_keys", "audit_events"] {
        let sql = format!("SELECT count(*) FROM docket.{table} AS t WHERE position($1 in t::text) > 0");
        let found: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(&secret).fetch_one(&owner).await.unwrap();
        assert_eq!(found, 0, "{table}");
    }
    owner.close().await;
    let listed = app.get("/v1/api-keys", Role::Admin).await.text;
    assert!(listed.contains("laptop") && !listed.contains(&secret) && !listed.contains("hash"), "{listed}");
}

#[tokio::test]
async fn a_rotated_key_works_through_the_overlap_and_its_successor_takes_over() {
    let app = TestApp::start().await;
    let (_, id, old) = app.newcomer().await;
    assert_eq!(app.status(&old).await, 200);
    let rotated = app.admin(Method::POST, &format!("/v1/api-keys/{id}/rotate"), json!({"overlap_seconds": 1})).await;
    assert_eq!((&rotated["rotated_from"], &rotated["label"]), (&json!(id), &json!("laptop")));
    let new = rotated["key"].as_str().unwrap();
    assert_eq!((app.status(&old).await, app.status(new).await), (200, 200));
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    assert_eq!((app.status(&old).await, app.status(new).await), (401, 200));
    let again =
        app.send(Method::POST, &format!("/v1/api-keys/{id}/rotate"), app.key(Role::Admin), Some(json!({}))).await;
    again.assert_problem(409, "conflict");
    let no_overlap = rotated["id"].as_str().unwrap();
    app.admin(Method::POST, &format!("/v1/api-keys/{no_overlap}/rotate"), json!({"overlap_seconds": 0})).await;
    assert_eq!(app.status(new).await, 401);
}

#[tokio::test]
async fn foreign_principals_and_keys_look_as_if_they_did_not_exist() {
    let app = TestApp::start().await;
    let (principal, key_id, _) = app.newcomer().await;
    let foreign_admin = &app.tenants[1].keys[&Role::Admin];
    let missing = Uuid::now_v7().to_string();
    for (method, path, body) in [
        (Method::GET, format!("/v1/principals/{principal}"), None),
        (Method::PATCH, format!("/v1/principals/{principal}"), Some(json!({"disabled": true}))),
        (Method::GET, format!("/v1/api-keys/{key_id}"), None),
        (Method::DELETE, format!("/v1/api-keys/{key_id}"), None),
        (Method::POST, format!("/v1/api-keys/{key_id}/rotate"), Some(json!({}))),
        (Method::POST, "/v1/api-keys".to_owned(), Some(json!({"principal_id": principal, "label": "x"}))),
    ] {
        let replaced = |text: &str| text.replace(&principal, &missing).replace(&key_id, &missing);
        let unknown = body.as_ref().map(|body| serde_json::from_str(&replaced(&body.to_string())).unwrap());
        let mut foreign = app.send(method.clone(), &path, foreign_admin, body).await.assert_problem(404, "not-found");
        let nothing = app.send(method.clone(), &replaced(&path), foreign_admin, unknown).await;
        foreign["instance"] = nothing.json()["instance"].clone();
        assert_eq!(foreign, nothing.json(), "{method} {path}");
    }
    for list in ["/v1/principals", "/v1/api-keys"] {
        let listed = Answer::of(app.request(Method::GET, list, foreign_admin)).await;
        assert!(listed.status == 200 && !listed.text.contains(&principal), "{}", listed.text);
    }
}

#[tokio::test]
async fn only_administrators_administer_and_only_operators_see_tenants() {
    let app = TestApp::start().await;
    let id = Uuid::now_v7();
    let tenant_routes = [
        (Method::GET, "/v1/tenants".to_owned()),
        (Method::POST, "/v1/tenants".to_owned()),
        (Method::GET, format!("/v1/tenants/{id}")),
        (Method::PATCH, format!("/v1/tenants/{id}")),
    ];
    let admin_routes = [
        (Method::GET, "/v1/principals".to_owned()),
        (Method::POST, "/v1/principals".to_owned()),
        (Method::GET, format!("/v1/principals/{id}")),
        (Method::PATCH, format!("/v1/principals/{id}")),
        (Method::GET, "/v1/api-keys".to_owned()),
        (Method::POST, "/v1/api-keys".to_owned()),
        (Method::GET, format!("/v1/api-keys/{id}")),
        (Method::DELETE, format!("/v1/api-keys/{id}")),
        (Method::POST, format!("/v1/api-keys/{id}/rotate")),
    ];
    let body = |method: &Method| (*method != Method::GET).then(|| json!({}));
    for role in [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::Auditor, Role::Admin] {
        for (method, path) in &tenant_routes {
            app.send(method.clone(), path, app.key(role), body(method)).await.assert_problem(403, "forbidden");
        }
        for (method, path) in admin_routes.iter().filter(|_| role != Role::Admin) {
            app.send(method.clone(), path, app.key(role), body(method)).await.assert_problem(403, "forbidden");
        }
    }
    for (method, path) in &admin_routes {
        app.send(method.clone(), path, &app.operator_key, body(method)).await.assert_problem(403, "forbidden");
    }
}

#[tokio::test]
async fn an_operator_creates_a_tenant_whose_first_administrator_gets_in() {
    let app = TestApp::start().await;
    let body = json!({"name": "gamma", "display_name": "Gamma Authority", "admin_display_name": "Grace"});
    let created = app.send(Method::POST, "/v1/tenants", &app.operator_key, Some(body.clone())).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let created = created.json();
    let key = created["api_key"]["key"].as_str().unwrap();
    let me = Answer::of(app.request(Method::GET, "/v1/whoami", key)).await.json();
    assert_eq!((&me["tenant"]["id"], &me["roles"]), (&created["id"], &json!(["admin"])));
    assert_eq!(me["scopes"], json!(["cases:read", "audit:read", "knowledge:read", "knowledge:write", "admin"]));
    let taken = app.send(Method::POST, "/v1/tenants", &app.operator_key, Some(body)).await;
    taken.assert_problem(409, "duplicate");
    let listed = Answer::of(app.request(Method::GET, "/v1/tenants?limit=2", &app.operator_key)).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "the platform itself is not listed");
    let next = format!("/v1/tenants?limit=2&cursor={}", listed["next"].as_str().unwrap());
    let rest = Answer::of(app.request(Method::GET, &next, &app.operator_key)).await.json();
    assert_eq!((rest["items"][0]["name"].as_str(), rest.get("next")), (Some("gamma"), None));
}

#[tokio::test]
async fn nobody_grants_what_is_not_theirs_to_grant() {
    let app = TestApp::start().await;
    for roles in [json!(["operator"]), json!(["system"]), json!(["admin", "operator"]), json!([]), json!(["boss"])] {
        let body = json!({"display_name": "x", "roles": roles});
        let answer = app.send(Method::POST, "/v1/principals", app.key(Role::Admin), Some(body)).await;
        assert_eq!(answer.assert_problem(422, "validation-failed")["errors"][0]["pointer"], "/roles");
        let path = format!("/v1/principals/{}", app.principal(Role::Reporter));
        let answer = app.send(Method::PATCH, &path, app.key(Role::Admin), Some(json!({"roles": roles}))).await;
        answer.assert_problem(422, "validation-failed");
    }
    for scopes in [json!(["admin"]), json!(["audit:read"]), json!(["everything"]), json!([])] {
        let body = json!({"principal_id": app.principal(Role::Reporter), "label": "x", "scopes": scopes});
        let answer = app.send(Method::POST, "/v1/api-keys", app.key(Role::Admin), Some(body)).await;
        assert_eq!(answer.assert_problem(422, "validation-failed")["errors"][0]["pointer"], "/scopes");
    }
    let body = json!({"principal_id": app.principal(Role::Reporter), "label": "x", "scopes": ["cases:read"]});
    assert_eq!(app.admin(Method::POST, "/v1/api-keys", body).await["scopes"], json!(["cases:read"]));
}

#[tokio::test]
async fn an_administrator_cannot_lock_itself_out() {
    let app = TestApp::start().await;
    let path = format!("/v1/principals/{}", app.principal(Role::Admin));
    for change in [json!({"disabled": true}), json!({"roles": ["auditor"]})] {
        let answer = app.send(Method::PATCH, &path, app.key(Role::Admin), Some(change)).await;
        answer.assert_problem(409, "conflict");
    }
}

#[tokio::test]
async fn invalid_administration_is_explained_member_by_member() {
    let app = TestApp::start().await;
    let body = json!({"label": "", "scopes": "all", "expires_at": "2001-01-01T00:00:00Z", "secret": "mine"});
    let answer = app.send(Method::POST, "/v1/api-keys", app.key(Role::Admin), Some(body)).await;
    assert_eq!(
        answer.assert_problem(422, "validation-failed")["errors"].as_array().unwrap().len(),
        4,
        "{}",
        answer.text
    );
    let past =
        json!({"principal_id": app.principal(Role::Reporter), "label": "x", "expires_at": "2001-01-01T00:00:00Z"});
    let answer = app.send(Method::POST, "/v1/api-keys", app.key(Role::Admin), Some(past)).await;
    assert_eq!(answer.assert_problem(422, "validation-failed")["errors"][0]["pointer"], "/expires_at");
    for overlap in [json!(-1), json!(604_801), json!("1"), json!(1.5)] {
        let (_, id, _) = app.newcomer().await;
        let (path, body) = (format!("/v1/api-keys/{id}/rotate"), json!({"overlap_seconds": overlap}));
        app.send(Method::POST, &path, app.key(Role::Admin), Some(body)).await.assert_problem(422, "validation-failed");
    }
    let names = json!({"name": "No Good", "display_name": "x"});
    let answer = app.send(Method::POST, "/v1/tenants", &app.operator_key, Some(names)).await;
    assert_eq!(answer.assert_problem(422, "validation-failed")["errors"][0]["pointer"], "/name");
    let request = app.request(Method::POST, "/v1/principals", app.key(Role::Admin));
    Answer::of(request.json(&json!({}))).await.assert_problem(400, "idempotency-key-missing");
}

#[tokio::test]
async fn every_administrative_act_stands_on_the_tenants_own_verifiable_chain() {
    let app = TestApp::start().await;
    let (principal, key, _) = app.newcomer().await;
    app.admin(Method::PATCH, &format!("/v1/principals/{principal}"), json!({"display_name": "Ada N."})).await;
    app.admin(Method::POST, &format!("/v1/api-keys/{key}/rotate"), json!({})).await;
    app.send(Method::DELETE, &format!("/v1/api-keys/{key}"), app.key(Role::Admin), None).await;
    // Twenty acts at once: the chain takes them one after the other.
    let more = (0..20).map(|n| {
        let body = json!({"display_name": format!("Temp {n}"), "roles": ["reporter"]});
        app.admin(Method::POST, "/v1/principals", body)
    });
    futures::future::join_all(more).await;
    let owner = app.superuser().await;
    let rows: Vec<Link> = sqlx::query_as(
        "SELECT seq, action, record::text, prev_hash, hash FROM docket.audit_events a
         JOIN docket.tenants t ON t.id = a.chain_id AND t.id = a.tenant_id WHERE t.name = 'alpha' ORDER BY seq",
    )
    .fetch_all(&owner)
    .await
    .unwrap();
    let (seq, head): (i64, Vec<u8>) =
        sqlx::query_as("SELECT audit_seq, audit_head FROM docket.tenants WHERE name = 'alpha'")
            .fetch_one(&owner)
            .await
            .unwrap();
    owner.close().await;
    let actions: Vec<_> = rows.iter().take(5).map(|row| row.1.as_str()).collect();
    assert_eq!(actions, ["principal.create", "api_key.create", "principal.update", "api_key.rotate", "api_key.revoke"]);
    assert_eq!((rows.len(), seq), (25, 25));
    let mut previous = [0_u8; 32];
    for (expected, (seq, _, record, before, hash)) in (1..).zip(&rows) {
        assert_eq!((*seq, &before[..]), (expected, &previous[..]));
        let parsed: docket_domain::audit::AuditRecord = serde_json::from_str(record).unwrap();
        assert_eq!((parsed.seq, parsed.case_id), (u64::try_from(*seq).unwrap(), None));
        assert_eq!(parsed.actor_id.0, app.principal(Role::Admin));
        previous = docket_domain::audit::chain::link_hash(&previous, record.as_bytes());
        assert_eq!(&hash[..], previous);
    }
    assert_eq!(head, previous);
}

#[tokio::test]
async fn one_key_creation_sent_many_times_at_once_makes_one_key() {
    let app = TestApp::start().await;
    let body = json!({"principal_id": app.principal(Role::Reporter), "label": "only one"});
    let sends = (0..20).map(|_| {
        let request = app.request(Method::POST, "/v1/api-keys", app.key(Role::Admin));
        Answer::of(request.header("idempotency-key", "same").json(&body))
    });
    let answers = futures::future::join_all(sends).await;
    assert!(answers.iter().all(|answer| matches!(answer.status, 201 | 409)), "{answers:?}");
    let shown = answers.iter().filter(|answer| answer.text.contains("\"key\"")).count();
    assert_eq!(shown, 1, "the secret was shown once");
    let listed = app.get("/v1/api-keys?limit=100", Role::Admin).await.text;
    assert_eq!(listed.matches("only one").count(), 1);
}
