//! The audit trail: who reads it, what it says, and that every kind of tampering is found and named.

use docket_domain::audit::AuditRecord;
use docket_domain::audit::chain::link_hash;
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::support::{Answer, TestApp, complete_case};

/// A case with three records: created, noted, submitted.
async fn worked_case(app: &TestApp) -> String {
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    for body in [json!({"command": "add_note", "body": "first"}), json!({"command": "submit"})] {
        assert_eq!(app.command(&id, Role::Reporter, &body).await.status, 200);
    }
    id
}

async fn checkpoint(app: &TestApp) -> Value {
    let answer = app.post("/v1/audit/checkpoints", Role::Auditor, &json!({})).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()
}

async fn verify(app: &TestApp) -> Value {
    let answer = app.get("/v1/audit/verify", Role::Auditor).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// Does what only somebody with all rights on the server can do: changes what is append-only.
async fn tamper(app: &TestApp, statements: &[String]) {
    let mut connection = PgConnection::connect(&app.database.superuser_url()).await.unwrap();
    sqlx::query("SET session_replication_role = replica").execute(&mut connection).await.unwrap();
    for statement in statements {
        let done = sqlx::query(sqlx::AssertSqlSafe(statement.clone())).execute(&mut connection).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
    }
}

fn details(verdict: &Value) -> String {
    let faults = verdict["faults"].as_array().unwrap().iter().map(|fault| fault["detail"].as_str().unwrap());
    faults.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_trail_tells_every_act_with_its_hashes_in_pages_and_by_time() {
    let app = TestApp::start().await;
    let id = worked_case(&app).await;
    let path = format!("/v1/cases/{id}/audit");
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("{path}?limit=2{cursor}"), Role::Auditor).await.json();
        items.extend(page["items"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let actions: Vec<_> = items.iter().map(|item| item["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["case.create", "case.add_note", "case.submit"]);
    for pair in items.windows(2) {
        assert_eq!(pair[0]["hash"], pair[1]["prev_hash"]);
    }
    let second = items[1]["occurred_at"].as_str().unwrap();
    for (query, count) in
        [(format!("from={second}"), 2), (format!("to={second}"), 1), ("from=2999-01-01T00:00:00Z".to_owned(), 0)]
    {
        let page = app.get(&format!("{path}?{query}"), Role::Auditor).await.json();
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    app.get(&format!("{path}?from=yesterday&odd=1"), Role::Auditor).await.assert_problem(400, "invalid-query");
    let verdict = app.get(&format!("{path}/verify"), Role::Auditor).await.json();
    assert_eq!((&verdict["valid"], &verdict["records"]), (&json!(true), &json!(3)));
    assert_eq!(verdict["head"]["hash"], items[2]["hash"]);
}

#[tokio::test]
async fn auditors_and_supervisors_read_all_trails_others_their_own_and_strangers_none() {
    let app = TestApp::start().await;
    let id = worked_case(&app).await;
    let path = format!("/v1/cases/{id}/audit");
    for role in [Role::Auditor, Role::Supervisor, Role::Reporter] {
        assert_eq!(app.get(&path, role).await.status, 200, "{role}");
    }
    for role in [Role::Caseworker, Role::Admin] {
        app.get(&path, role).await.assert_problem(403, "forbidden");
    }
    let assign = json!({"command": "assign", "assignee_id": app.principal(Role::Caseworker)});
    assert_eq!(app.command(&id, Role::Supervisor, &assign).await.status, 200);
    assert_eq!(app.get(&path, Role::Caseworker).await.status, 200, "the assignee reads the trail of its own case");
    for foreign in [Role::Auditor, Role::Supervisor] {
        let request = app.request(Method::GET, &path, &app.tenants[1].keys[&foreign]);
        Answer::of(request).await.assert_problem(404, "not-found");
    }
    app.get("/v1/audit/verify", Role::Supervisor).await.assert_problem(403, "forbidden");
    app.get("/v1/audit", Role::Caseworker).await.assert_problem(403, "forbidden");
    assert_eq!(app.get("/v1/audit", Role::Admin).await.json(), json!({"items": []}));
}

#[tokio::test]
async fn a_look_at_the_trail_of_a_restricted_case_is_recorded_and_so_is_a_denied_one() {
    let app = TestApp::start().await;
    let mut case = complete_case();
    case["confidentiality"] = json!("restricted");
    let id = app.post("/v1/cases", Role::Reporter, &case).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/cases/{id}/audit");
    app.get(&path, Role::Caseworker).await.assert_problem(404, "not-found");
    let trail = app.get(&path, Role::Auditor).await.json();
    let seen: Vec<_> = trail["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["action"].as_str().unwrap(), item["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [("case.create", "allowed"), ("case.audit.read", "denied"), ("case.audit.read", "allowed")]);
}

#[tokio::test]
async fn the_trail_of_a_deleted_case_stays_for_auditors_and_still_verifies() {
    let app = TestApp::start().await;
    let id = app.draft().await["id"].as_str().unwrap().to_owned();
    let request = app.request(Method::DELETE, &format!("/v1/cases/{id}"), app.key(Role::Supervisor));
    let deleted = Answer::of(request.header("if-match", "\"v1\"")).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text);
    let path = format!("/v1/cases/{id}/audit");
    assert_eq!(app.get(&path, Role::Auditor).await.json()["items"][1]["action"], "case.delete");
    assert_eq!(app.get(&format!("{path}/verify"), Role::Auditor).await.json()["valid"], true);
    app.get(&path, Role::Supervisor).await.assert_problem(404, "not-found");
    let never = uuid::Uuid::now_v7();
    app.get(&format!("/v1/cases/{never}/audit"), Role::Auditor).await.assert_problem(404, "not-found");
    app.get(&format!("/v1/cases/{never}/audit/verify"), Role::Auditor).await.assert_problem(404, "not-found");
    checkpoint(&app).await;
    assert_eq!(verify(&app).await["valid"], true);
    tamper(&app, &[format!("DELETE FROM docket.audit_events WHERE chain_id = '{id}' AND seq = 2")]).await;
    let found = details(&verify(&app).await);
    assert!(
        found.contains("there is no case of this trail") && found.contains("record 2, which checkpoint 1"),
        "{found}"
    );
}

#[tokio::test]
async fn a_changed_record_and_a_changed_column_are_found_where_they_are() {
    let app = TestApp::start().await;
    let (first, second) = (worked_case(&app).await, worked_case(&app).await);
    tamper(&app, &[
        format!("UPDATE docket.audit_events SET record = replace(record::text, 'add_note', 'add_nice')::json WHERE chain_id = '{first}' AND seq = 2"),
        format!("UPDATE docket.audit_events SET action = 'case.close' WHERE chain_id = '{second}' AND seq = 3"),
    ])
    .await;
    let verdict = app.get(&format!("/v1/cases/{first}/audit/verify"), Role::Auditor).await.json();
    assert_eq!(verdict["fault"], "record 2 was changed after it was written");
    assert_eq!((&verdict["valid"], &verdict["records"]), (&json!(false), &json!(1)));
    let found = details(&verify(&app).await);
    assert!(found.contains(&format!("chain {first}: record 2 was changed")), "{found}");
    assert!(found.contains(&format!("chain {second}: record 3: the column `action` contradicts")), "{found}");
}

#[tokio::test]
async fn cutting_the_tail_and_setting_the_head_back_is_found_by_the_checkpoint() {
    let app = TestApp::start().await;
    let id = worked_case(&app).await;
    let sealed = checkpoint(&app).await;
    assert_eq!(sealed["heads"], 1);
    assert_eq!(verify(&app).await, json!({"valid": true, "chains": 2, "records": 3, "checkpoints": 1, "faults": []}));
    tamper(
        &app,
        &[
            format!("DELETE FROM docket.audit_events WHERE chain_id = '{id}' AND seq = 3"),
            format!(
                "UPDATE docket.cases c SET audit_seq = 2, audit_head = e.hash FROM docket.audit_events e
             WHERE c.id = '{id}' AND e.chain_id = c.id AND e.seq = 2"
            ),
        ],
    )
    .await;
    assert_eq!(
        app.get(&format!("/v1/cases/{id}/audit/verify"), Role::Auditor).await.json()["valid"],
        true,
        "the chain alone looks whole"
    );
    let found = details(&verify(&app).await);
    assert_eq!(found, format!("chain {id}: record 3, which checkpoint 1 vouches for, is gone"));
}

#[tokio::test]
async fn a_chain_recomputed_from_the_start_is_found_by_the_checkpoint() {
    let app = TestApp::start().await;
    let id = worked_case(&app).await;
    checkpoint(&app).await;
    let owner = app.superuser().await;
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT seq, record::text FROM docket.audit_events WHERE chain_id = $1::uuid ORDER BY seq")
            .bind(uuid::Uuid::parse_str(&id).unwrap())
            .fetch_all(&owner)
            .await
            .unwrap();
    let mut statements = Vec::new();
    let mut head = [0; 32];
    for (seq, text) in rows {
        let mut record: AuditRecord = serde_json::from_str(&text).unwrap();
        record.reason = Some("history rewritten".to_owned());
        let canonical = String::from_utf8(record.canonical().unwrap()).unwrap();
        let next = link_hash(&head, canonical.as_bytes());
        statements.push(format!(
            "UPDATE docket.audit_events SET record = '{}'::json, prev_hash = '\\x{}', hash = '\\x{}'
             WHERE chain_id = '{id}' AND seq = {seq}",
            canonical.replace('\'', "''"),
            hex::encode(head),
            hex::encode(next)
        ));
        head = next;
    }
    statements.push(format!("UPDATE docket.cases SET audit_head = '\\x{}' WHERE id = '{id}'", hex::encode(head)));
    tamper(&app, &statements).await;
    assert_eq!(
        app.get(&format!("/v1/cases/{id}/audit/verify"), Role::Auditor).await.json()["valid"],
        true,
        "the chain alone looks whole"
    );
    let found = details(&verify(&app).await);
    assert_eq!(
        found,
        format!("chain {id}: record 3 is not the one that checkpoint 1 vouches for: the trail was rewritten")
    );
}

#[tokio::test]
async fn deleted_and_changed_checkpoints_are_found_the_newest_by_a_witness() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        worked_case(&app).await;
        checkpoint(&app).await;
    }
    let last = app.get("/v1/audit/checkpoints", Role::Admin).await.json()["items"][2].clone();
    let witness = format!("/v1/audit/verify?witness={}:{}", last["number"], last["digest"].as_str().unwrap());
    assert_eq!(app.get(&witness, Role::Auditor).await.json()["valid"], true);
    let drop = |number: u8| {
        vec![
            format!("DELETE FROM docket.audit_checkpoint_heads WHERE number = {number}"),
            format!("DELETE FROM docket.audit_checkpoints WHERE number = {number}"),
        ]
    };
    tamper(&app, &drop(3)).await;
    assert_eq!(verify(&app).await["valid"], true, "a cut tail of checkpoints leaves no trace inside the database");
    let found = details(&app.get(&witness, Role::Auditor).await.json());
    assert_eq!(found, "checkpoint 3 is not there as the witness remembers it");
    tamper(&app, &drop(1)).await;
    let found = details(&verify(&app).await);
    assert!(found.contains("checkpoint 1 is missing: found 2 in its place"), "{found}");
    tamper(&app, &["UPDATE docket.audit_checkpoint_heads SET seq = 1 WHERE number = 2".to_owned()]).await;
    let found = details(&verify(&app).await);
    assert!(found.contains("the heads listed by checkpoint 2 are not those that were signed"), "{found}");
    tamper(&app, &["UPDATE docket.audit_checkpoints SET heads = heads + 1 WHERE number = 2".to_owned()]).await;
    let found = details(&verify(&app).await);
    assert!(found.contains("the signature of checkpoint 2 is not valid"), "{found}");
    app.get("/v1/audit/verify?witness=odd", Role::Auditor).await.assert_problem(400, "invalid-query");
}

#[tokio::test]
async fn a_checkpoint_lists_what_moved_is_replayed_by_its_key_and_verifies_with_the_public_key() {
    let app = TestApp::start().await;
    worked_case(&app).await;
    let moving = worked_case(&app).await;
    assert_eq!(checkpoint(&app).await["heads"], 2);
    app.command(&moving, Role::Reporter, &json!({"command": "add_note", "body": "later"})).await;
    let send = |key: &'static str| {
        let request = app.request(Method::POST, "/v1/audit/checkpoints", app.key(Role::Auditor));
        Answer::of(request.header("idempotency-key", key))
    };
    let (made, again) = (send("k").await, send("k").await);
    assert_eq!((made.status, &made.json()["heads"], &made.json()["number"]), (201, &json!(1), &json!(2)));
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &made.text));
    let bare = app.request(Method::POST, "/v1/audit/checkpoints", app.key(Role::Auditor));
    Answer::of(bare).await.assert_problem(400, "idempotency-key-missing");
    app.post("/v1/audit/checkpoints", Role::Supervisor, &json!({})).await.assert_problem(403, "forbidden");
    let key = app.get("/v1/audit/public-key", Role::Auditor).await.json();
    assert_eq!(key["public_key"], made.json()["public_key"]);
    assert_eq!(verify(&app).await["checkpoints"], 2);
    let (body, posts) = (json!({}), 0..8);
    let posts = posts.map(|_| app.post("/v1/audit/checkpoints", Role::Auditor, &body));
    let concurrent = futures::future::join_all(posts).await;
    assert!(concurrent.iter().all(|answer| [201, 503].contains(&answer.status)), "{concurrent:?}");
    assert_eq!(verify(&app).await["valid"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_beside_running_writers_finds_nothing_wrong() {
    let app = TestApp::start().await;
    let ids = futures::future::join_all((0..4).map(|_| worked_case(&app))).await;
    let writing = futures::future::join_all(ids.iter().map(|id| async {
        for number in 0..15 {
            let body = json!({"command": "add_note", "body": format!("note {number}")});
            app.command(id, Role::Reporter, &body).await;
        }
    }));
    let verifying = async {
        for _ in 0..15 {
            let verdict = verify(&app).await;
            assert_eq!(verdict["valid"], true, "{verdict}");
        }
    };
    tokio::join!(writing, verifying);
}

/// Verifies in parts of this many chains; the parts' verdicts.
async fn verify_in_parts(app: &TestApp, limit: u32, more: &str) -> Vec<Value> {
    let mut parts: Vec<Value> = Vec::new();
    loop {
        let next = parts.last().map(|part| part["next"].as_str().map(str::to_owned));
        let cursor = match next {
            Some(None) => return parts,
            Some(Some(next)) => format!("&cursor={next}"),
            None => String::new(),
        };
        let answer = app.get(&format!("/v1/audit/verify?limit={limit}{cursor}{more}"), Role::Auditor).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        parts.push(answer.json());
        assert!(parts.len() < 50, "no end in sight");
    }
}

fn sum(parts: &[Value], member: &str) -> u64 {
    parts.iter().map(|part| part[member].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn a_trail_verified_in_parts_gets_the_same_verdict_as_at_once() {
    let app = TestApp::start().await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(worked_case(&app).await);
    }
    checkpoint(&app).await;
    let sealed = checkpoint(&app).await;
    let whole = verify(&app).await;
    assert!(whole["next"].is_null());
    for limit in [1, 2, 100] {
        let parts = verify_in_parts(&app, limit, "").await;
        assert_eq!(parts.len() > 1, limit < 100);
        assert!(parts.iter().all(|part| part["valid"] == true), "{parts:?}");
        for member in ["chains", "records", "checkpoints"] {
            assert_eq!(json!(sum(&parts, member)), whole[member], "{member} in parts of {limit}");
        }
    }
    let witness = format!("&witness={}:{}", sealed["number"], sealed["digest"].as_str().unwrap());
    assert!(verify_in_parts(&app, 1, &witness).await.iter().all(|part| part["valid"] == true));
    let record = format!("UPDATE docket.audit_events SET action = 'x' WHERE chain_id = '{}' AND seq = 2", ids[2]);
    tamper(&app, &[record]).await;
    let faulty: Vec<_> = verify_in_parts(&app, 1, "").await.into_iter().filter(|part| part["valid"] == false).collect();
    assert_eq!(faulty.len(), 1, "one part names the fault: {faulty:?}");
    assert_eq!(faulty[0]["faults"][0]["chain_id"], ids[2]);
    let unknown = format!("&witness=9:{}", "0".repeat(64));
    assert_eq!(verify_in_parts(&app, 1, &unknown).await.last().unwrap()["valid"], false);
}

#[tokio::test]
async fn the_cursor_of_a_verification_is_bound_to_the_tenant_and_the_witness() {
    let app = TestApp::start().await;
    worked_case(&app).await;
    let next = verify_in_parts(&app, 1, "").await[0]["next"].as_str().unwrap().to_owned();
    let witness = format!("&witness=9:{}", "0".repeat(64));
    let path = format!("/v1/audit/verify?cursor={next}");
    app.get(&format!("{path}{witness}"), Role::Auditor).await.assert_problem(400, "invalid-cursor");
    let foreign = &app.tenants[1].keys[&Role::Auditor];
    Answer::of(app.request(Method::GET, &path, foreign)).await.assert_problem(400, "invalid-cursor");
    app.get(&path, Role::Supervisor).await.assert_problem(403, "forbidden");
}
