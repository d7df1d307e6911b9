//! R7: every idempotency key is sent many times at once, some with another body, while the service is killed.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::{Answer, Client, Request};
use crate::support::commands::new_case;
use crate::support::invariants;
use crate::support::ledger::{Entry, Ledger};
use crate::support::report::{Figures, Findings, bounded, count, turn};
use crate::support::service::Service;
use crate::support::settings::{number, random, seed};
use crate::support::stage::Stage;

/// Every fourth send of a key carries another body.
const ODD: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_one_effect_however_often_it_is_sent_at_once() {
    let _turn = turn().await;
    let (keys, sends) = (number("DOCKET_CRASH_KEYS", 50), number("DOCKET_CRASH_SENDS", 10));
    let seed = seed("R7");
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let mut service = Service::start(&stage).await;
    let client = Client::new(&service.url, &findings);
    held_key(&client, &stage).await;
    let api_key = &stage.tenants[0].keys[&Role::Reporter];
    let mut tasks = JoinSet::new();
    let mut names = Vec::new();
    for _ in 0..keys {
        let key = random.key();
        names.push(key.clone());
        for send in 0..sends {
            let odd = send % ODD == ODD - 1;
            let body = new_case(if odd { "other" } else { "first" }, "public");
            let request = Request {
                method: Method::POST,
                path: "/v1/cases".to_owned(),
                api_key: api_key.clone(),
                key: Some(key.clone()),
                if_match: None,
                body: Some(body),
            };
            let (client, pause) = (client.clone(), random.millis(0, 4 * keys));
            tasks.spawn(async move {
                tokio::time::sleep(pause).await;
                let answer = client.deliver(&request).await;
                (request, answer)
            });
        }
    }
    tokio::time::sleep(random.millis(20, 3 * keys)).await;
    service.kill();
    findings.expect(service.restart().await.is_some(), || "not ready again after a kill".to_owned());
    let mut answers: HashMap<String, Vec<(Request, Answer)>> = HashMap::new();
    while let Some(done) = tasks.join_next().await {
        if let (request, Some(answer)) = done.unwrap() {
            answers.entry(request.key.clone().unwrap()).or_default().push((request, answer));
        }
    }
    let ledger = Ledger::default();
    let (mut reused, mut replays) = (0, 0);
    for key in &names {
        let told = answers.remove(key).unwrap_or_default();
        judge(&findings, key, &told);
        reused += told.iter().filter(|(_, answer)| answer.status == 422).count();
        replays += told.iter().filter(|(_, answer)| answer.replayed).count();
        let tenant = &stage.tenants[0];
        if let Some((request, answer)) = told.into_iter().find(|(_, answer)| answer.status == 201) {
            let principal_id = tenant.principals[&Role::Reporter];
            ledger.add(Entry { principal_id, request, answer, note: None });
        }
    }
    let owner = stage.owner().await;
    // The held key's case was made outside the ledger: only doubled effects count here.
    let doubled = doubled_keys(&owner).await;
    findings.expect(doubled == 0, || format!("{doubled} keys had more than one effect"));
    invariants::audit_records(&owner, &findings).await;
    let writes = count(ledger.acknowledged());
    Figures { kills: 1, writes, doubled: count(doubled), ..Figures::default() }.note("R7");
    println!(
        "R7 seed {seed}: {keys} keys x {sends} sends and a kill; {}; {} keys with an effect, {replays} replays, {reused} refused \
         as another request, {} told \"in flight\"",
        bounded(doubled, "doubled", names.len()),
        ledger.acknowledged(),
        client.tally.in_flight.load(Ordering::Relaxed),
    );
    findings.assert_none();
}

/// Of one key: one body won; all its senders read the same bytes, all others that the key was used for something else.
fn judge(findings: &Findings, key: &str, told: &[(Request, Answer)]) {
    let Some((winner, answer)) = told.iter().find(|(_, answer)| answer.status == 201) else {
        return findings.add(format!("key {key} had no effect: {:?}", told.first()));
    };
    for (request, other) in told {
        if request.body == winner.body {
            findings.expect(other.status == 201 && other.text == answer.text, || {
                format!("key {key}: the same request was answered {} {} and {}", other.status, other.text, answer.text)
            });
        } else {
            findings.expect(other.status == 422 && other.slug() == "idempotency-key-reused", || {
                format!("key {key}: another request was answered {} {}", other.status, other.text)
            });
        }
    }
    let first_hand = told.iter().filter(|(_, answer)| answer.status == 201 && !answer.replayed).count();
    findings.expect(first_hand <= 1, || format!("key {key}: {first_hand} answers were not replays"));
}

/// While a request with a key runs, others with that key are told so at once and hold no connection.
async fn held_key(client: &Client, stage: &Stage) {
    let tenant = &stage.tenants[0];
    let request = |path: &str, key: &str, if_match: Option<&str>, body| Request {
        method: Method::POST,
        path: path.to_owned(),
        api_key: tenant.keys[&Role::Reporter].clone(),
        key: Some(key.to_owned()),
        if_match: if_match.map(str::to_owned),
        body: Some(body),
    };
    let case = client.deliver(&request("/v1/cases", "held-case", None, new_case("held", "public"))).await.unwrap();
    let path = format!("/v1/cases/{}/transitions", case.json()["id"].as_str().unwrap_or_default());
    let submit = request(&path, "held", Some("\"v1\""), json!({"command": "submit"}));
    let owner = stage.owner().await;
    let mut blocker = owner.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM docket.cases FOR UPDATE").execute(&mut *blocker).await.unwrap();
    let running = tokio::spawn({
        let (client, submit) = (client.clone(), submit.clone());
        async move { client.send(&submit).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..9 {
        match tokio::time::timeout(Duration::from_secs(2), client.send(&submit)).await {
            Ok(Some(answer)) => client.findings.expect(
                answer.status == 409 && answer.slug() == "idempotency-request-in-flight" && answer.retry_after == "1",
                || format!("while its key was held, a request was answered {} {}", answer.status, answer.text),
            ),
            Ok(None) => client.findings.add("while its key was held, a request was cut"),
            Err(_) => {
                client.findings.add("while its key was held, a request waited instead of being told \"in flight\"");
                break;
            }
        }
    }
    blocker.rollback().await.unwrap();
    let answer = running.await.unwrap();
    client.findings.expect(answer.as_ref().is_some_and(|answer| answer.status == 200), || {
        format!("the request that held the key was answered {answer:?}")
    });
}

/// Keys whose hash stands on the trail with more than one allowed change.
async fn doubled_keys(owner: &sqlx::PgPool) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT FROM docket.audit_events
             WHERE outcome = 'allowed' AND record ->> 'after' IS NOT NULL AND record ->> 'idempotency_key_hash' IS NOT NULL
             GROUP BY tenant_id, actor_id, record ->> 'idempotency_key_hash' HAVING count(*) > 1) doubled",
    )
    .fetch_one(owner)
    .await
    .unwrap()
}
