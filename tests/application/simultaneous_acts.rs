//! Acts that are decided at the same time share a statement and a transaction; nobody may notice.

use docket::application::ports::case_store::{CaseWrite, Commit, KeyScope, StoredCase};
use docket_domain::ids::TenantId;
use sqlx::PgPool;
use tokio::task::JoinSet;

use super::case_store_contract::{OTHER, Site, changed, draft, on_postgres};
use super::desk::{TENANT, claim};

const CASES: usize = 24;
const WRITERS: usize = 5;

async fn filled(site: &Site) -> Vec<StoredCase> {
    let mut cases = Vec::new();
    for number in 0..CASES {
        let tenant = if number % 4 == 0 { OTHER } else { TENANT };
        let write = draft(tenant, &format!("R-{number}"), None);
        assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
        cases.push(site.store.load(tenant, write.case.id, None).await.unwrap().case.unwrap());
    }
    cases
}

/// Commits all of them at once; outcomes in the order of the writes.
async fn all_at_once(site: &Site, writes: Vec<CaseWrite>) -> Vec<Commit> {
    let mut commits = JoinSet::new();
    for (number, write) in writes.into_iter().enumerate() {
        let store = site.store.clone();
        commits.spawn(async move { (number, store.commit(&write).await.unwrap()) });
    }
    let mut outcomes = commits.join_all().await;
    outcomes.sort_unstable_by_key(|(number, _)| *number);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn count(outcomes: &[Commit], wanted: Commit) -> usize {
    outcomes.iter().filter(|&&outcome| outcome == wanted).count()
}

async fn rows(site: &Site, sql: &'static str) -> i64 {
    let owner = PgPool::connect(&site.database.as_ref().unwrap().superuser_url()).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&owner).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_acts_on_many_cases_at_once_one_of_each_case_wins_and_is_written_once_and_whole() {
    let site = on_postgres().await;
    let cases = filled(&site).await;
    let mut writes = Vec::new();
    for writer in 0..WRITERS {
        for (number, case) in cases.iter().enumerate() {
            writes.push(changed(case, Some(&claim(&format!("k-{number}-{writer}"), 1))));
        }
    }
    let outcomes = all_at_once(&site, writes.clone()).await;
    assert_eq!((count(&outcomes, Commit::Done), count(&outcomes, Commit::Stale)), (CASES, CASES * (WRITERS - 1)));
    for (write, outcome) in writes.iter().zip(outcomes) {
        let answer = write.answer.as_ref().unwrap();
        let key = KeyScope { principal_id: answer.principal_id, key: &answer.key };
        let loaded = site.store.load(write.case.tenant_id, write.case.id, Some(key)).await.unwrap();
        // The winner's answer is remembered to the byte, and nothing of who lost.
        let remembered = loaded.answer.map(|stored| (stored.fingerprint, stored.rendered));
        let expected = (outcome == Commit::Done).then(|| (answer.fingerprint, answer.rendered.clone()));
        assert_eq!(remembered, expected);
        if outcome == Commit::Done {
            let stored = loaded.case.unwrap();
            assert_eq!((stored.case, stored.head), (write.case.clone(), write.head));
        }
    }
    let cases = i64::try_from(CASES).unwrap();
    assert_eq!(rows(&site, "SELECT count(*) FROM docket.audit_events WHERE seq = 2").await, cases);
    assert_eq!(rows(&site, "SELECT count(*) FROM docket.outbox_events WHERE sequence = 2").await, cases);
    assert_eq!(rows(&site, "SELECT count(*) FROM docket.idempotency_keys").await, cases);
    let together = "SELECT max(acts) FROM (SELECT count(*) AS acts FROM docket.outbox_events WHERE sequence = 2
                    GROUP BY transaction_id) AS shared";
    assert!(rows(&site, together).await > 1, "no two acts shared a transaction: this tests nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_sent_with_acts_on_many_cases_at_once_takes_effect_once() {
    let site = on_postgres().await;
    let cases = filled(&site).await;
    let ours: Vec<&StoredCase> = cases.iter().filter(|stored| stored.case.tenant_id == TENANT).collect();
    let shared = claim("shared", 1);
    let mut writes: Vec<CaseWrite> = ours.iter().map(|case| changed(case, Some(&shared))).collect();
    let others: Vec<CaseWrite> = cases
        .iter()
        .filter(|stored| stored.case.tenant_id == OTHER)
        .enumerate()
        .map(|(number, case)| changed(case, Some(&claim(&format!("own-{number}"), 1))))
        .collect();
    let innocent = others.len();
    writes.extend(others);
    let outcomes = all_at_once(&site, writes).await;
    let (with_shared, with_own) = outcomes.split_at(outcomes.len() - innocent);
    assert_eq!(count(with_shared, Commit::Done), 1, "{with_shared:?}");
    assert!(with_shared.iter().all(|outcome| [Commit::Done, Commit::KeyTaken, Commit::KeyInFlight].contains(outcome)));
    assert_eq!(count(with_own, Commit::Done), innocent);
    assert_eq!(
        rows(&site, "SELECT count(*) FROM docket.cases WHERE version = 2").await,
        1 + i64::try_from(innocent).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_that_breaks_a_rule_of_the_database_spoils_nothing_for_those_beside_it() {
    let site = on_postgres().await;
    let cases: Vec<StoredCase> =
        filled(&site).await.into_iter().filter(|stored| stored.case.tenant_id == TENANT).collect();
    let taken = claim("taken", 1);
    let (first, rest) = cases.split_first().unwrap();
    assert_eq!(site.store.commit(&changed(first, Some(&taken))).await.unwrap(), Commit::Done);
    let writes = rest
        .iter()
        .enumerate()
        .map(|(number, case)| {
            let own = claim(&format!("own-{number}"), 1);
            changed(case, Some(if number % 5 == 4 { &taken } else { &own }))
        })
        .collect();
    for (number, outcome) in all_at_once(&site, writes).await.into_iter().enumerate() {
        let possible: &[Commit] =
            if number % 5 == 4 { &[Commit::KeyTaken, Commit::KeyInFlight] } else { &[Commit::Done] };
        assert!(possible.contains(&outcome), "{number}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_of_one_tenant_never_moves_a_case_of_another() {
    let site = on_postgres().await;
    let cases = filled(&site).await;
    let foreign = |stored: &StoredCase| {
        let mut stored = stored.clone();
        let tenant: TenantId = if stored.case.tenant_id == TENANT { OTHER } else { TENANT };
        stored.case.tenant_id = tenant;
        changed(&stored, None)
    };
    let outcomes = all_at_once(&site, cases.iter().map(foreign).collect()).await;
    assert_eq!(count(&outcomes, Commit::Stale), CASES, "{outcomes:?}");
    assert_eq!(rows(&site, "SELECT count(*) FROM docket.cases WHERE version > 1").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_that_somebody_holds_keeps_nobody_waiting_who_acts_on_another() {
    let site = on_postgres().await;
    let cases = filled(&site).await;
    let owner = PgPool::connect(&site.database.as_ref().unwrap().superuser_url()).await.unwrap();
    let mut holder = owner.begin().await.unwrap();
    let (held, free) = cases[1..].split_first().unwrap();
    let lock = sqlx::query("SELECT FROM docket.cases WHERE id = $1 FOR UPDATE").bind(held.case.id.0);
    lock.execute(&mut *holder).await.unwrap();
    let (store, write) = (site.store.clone(), changed(held, None));
    let waiting = tokio::spawn(async move { store.commit(&write).await });
    for round in 0..3 {
        let writes = free.iter().skip(round).step_by(3).map(|case| changed(case, None)).collect::<Vec<_>>();
        let wanted = writes.len();
        assert_eq!(count(&all_at_once(&site, writes).await, Commit::Done), wanted);
    }
    assert!(!waiting.is_finished(), "the case was not held, so this tests nothing");
    holder.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), Commit::Done);
}
