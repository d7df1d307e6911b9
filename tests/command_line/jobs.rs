//! `docket jobs` beside a running worker: run, show, list, cancel and redrive, for people and for scripts, and each act on the
//! tenant's chain.

use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::ground::Ground;

/// Waits until a job stands as wanted; the job.
async fn wait_for(ground: &Ground, id: &str, state: &str) -> Value {
    for _ in 0..600 {
        let job = ground.json(&["jobs", "show", "--tenant", "rail", id, "--json"]).await;
        if job["state"] == state {
            return job;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the job {id} is not {state} within thirty seconds");
}

/// Enqueues a probe; its id.
async fn probe(ground: &Ground, payload: &Value) -> String {
    let (text, run) = (payload.to_string(), ["jobs", "run-now", "probe", "--tenant", "rail", "--json", "--payload"]);
    let job = ground.json(&[&run[..], &[&text]].concat()).await;
    assert_eq!((&job["kind"], &job["state"], &job["priority"]), (&json!("probe"), &json!("queued"), &json!("high")));
    job["id"].as_str().unwrap().to_owned()
}

/// A job that waits for an hour to come, written past the service; its id.
async fn waiting(owner: &PgPool) -> String {
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, requested_by, created_at)
         SELECT id, $1, 'probe', '{}', 3, 3, now() + interval '1 hour', id, now() FROM docket.tenants WHERE name = 'rail'",
    )
    .bind(id)
    .execute(owner)
    .await
    .unwrap();
    id.to_string()
}

#[tokio::test]
async fn jobs_are_run_shown_listed_cancelled_and_redriven_and_every_act_is_audited() {
    let ground = Ground::new().await;
    ground.ok(&["tenants", "create", "rail", "--display-name", "Rail Oversight Board"]).await;
    let owner = PgPool::connect(&ground.database.superuser_url()).await.unwrap();
    let before = ground.acts("rail").await.len();

    let good = probe(&ground, &json!({"sleep_ms": 1})).await;
    let done = wait_for(&ground, &good, "succeeded").await;
    assert!(done["result"]["began_at"].is_string() && done["attempt"] == 1, "{done}");
    let (words, _) = ground.ok(&["jobs", "show", "--tenant", "rail", &good]).await;
    let shows = |name: &str, value: &str| words.lines().any(|line| line == format!("{name:<17} {value}"));
    assert!(shows("id", &good) && shows("state", "succeeded") && !words.contains("null"), "{words}");

    let bad = probe(&ground, &json!({"fail": true})).await;
    let dead = wait_for(&ground, &bad, "dead").await;
    assert_eq!(dead["error"], "asked to fail");
    let list = ["jobs", "list", "--tenant", "rail"];
    let (table, _) = ground.ok(&[&list[..], &["--state", "dead"]].concat()).await;
    assert!(table.starts_with("ID") && table.contains(&bad) && table.contains("asked to fail"), "{table}");
    assert!(!table.contains(&good), "{table}");
    let all = ground.json(&[&list[..], &["--kind", "probe", "--json"]].concat()).await;
    let ids: Vec<_> = all.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&bad, &good], "newest first");
    assert_eq!(ground.json(&[&list[..], &["--limit", "1", "--json"]].concat()).await.as_array().unwrap().len(), 1);
    assert_eq!(
        ground.json(&["jobs", "list", "--kind", "probe", "--json"]).await,
        json!([]),
        "the platform's are others"
    );

    let planned = waiting(&owner).await;
    let cancelled = ground.json(&["jobs", "cancel", "--tenant", "rail", &planned, "--json"]).await;
    assert_eq!((&cancelled["id"], &cancelled["state"]), (&json!(planned), &json!("cancelled")));
    wait_for(&ground, &planned, "cancelled").await;

    let redriven = ground.json(&["jobs", "redrive", "--tenant", "rail", &bad, "--json"]).await;
    assert_eq!((&redriven["state"], &redriven["attempt"]), (&json!("queued"), &json!(0)));
    let again = wait_for(&ground, &bad, "dead").await;
    assert!(again["finished_at"].as_str() > dead["finished_at"].as_str(), "it was tried again: {again}");
    let (put_back, _) = ground.ok(&["jobs", "redrive", "--tenant", "rail", "--kind", "probe"]).await;
    assert_eq!(put_back.trim(), "1 dead letters of probe put back, up to 1,000 at a time");
    wait_for(&ground, &bad, "dead").await;

    let acts = ["job.enqueue", "job.enqueue", "job.cancel", "job.redrive", "job.redrive_kind"];
    assert_eq!(ground.acts("rail").await[before..], acts);
    let (verified, _) = ground.ok(&["audit", "verify", "--tenant", "rail"]).await;
    assert!(verified.contains("valid") && !verified.contains("NOT"), "{verified}");
}

#[tokio::test]
async fn kinds_are_listed_and_mistakes_change_nothing_and_say_what_to_do() {
    let ground = Ground::new().await;
    ground.ok(&["tenants", "create", "rail", "--display-name", "Rail Oversight Board"]).await;
    let (words, _) = ground.ok(&["jobs", "kinds"]).await;
    let kinds = ground.json(&["jobs", "kinds", "--json"]).await;
    let kinds = kinds.as_array().unwrap();
    assert_eq!(words.lines().count(), kinds.len());
    for kind in ["probe", "purge_idempotency_keys", "sign_checkpoint", "verify_audit"] {
        let line = words.lines().find(|line| line.split(' ').next() == Some(kind));
        assert!(line.is_some_and(|line| line.trim_end().ends_with('.')), "{kind} with a sentence: {words}");
        assert!(kinds.iter().any(|listed| listed["kind"] == kind && listed["about"].is_string()), "{kinds:?}");
    }

    let before = ground.acts("rail").await;
    let unknown = Uuid::now_v7().to_string();
    let mistakes: [(&[&str], i32, &str); 7] = [
        (&["run-now", "no_such_kind"], 2, "--kind is no kind of job here"),
        (&["run-now", "probe", "--payload", "{"], 2, "--payload is not JSON"),
        (&["run-now", "probe", "--payload", "{\"x\": 1}"], 2, "--payload `x` is not known here"),
        (&["run-now", "probe", "--priority", "now"], 2, "priority"),
        (&["redrive", "--kind", "no_such_kind"], 2, "--kind is no kind of job here"),
        (&["cancel", &unknown], 1, "job"),
        (&["redrive"], 2, "required"),
    ];
    for (arguments, code, words) in mistakes {
        let (exit, said) = ground.fails(&[&["jobs", "--tenant", "rail"], arguments].concat()).await;
        assert!(exit == Some(code) && said.contains(words), "{arguments:?}: {exit:?} {said}");
    }
    assert_eq!(ground.acts("rail").await, before);

    let done = probe(&ground, &json!({"sleep_ms": 0})).await;
    wait_for(&ground, &done, "succeeded").await;
    for (what, words) in [("cancel", "has ended"), ("redrive", "only dead jobs are redriven")] {
        let (exit, said) = ground.fails(&["jobs", what, "--tenant", "rail", &done]).await;
        assert!(exit == Some(1) && said.contains(words), "{what}: {exit:?} {said}");
    }
}
