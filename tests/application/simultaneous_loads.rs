//! Loads that arrive together share a statement and a connection; nobody may notice.

use docket::application::ports::CaseReader;
use docket::application::ports::case_store::Commit;
use docket_domain::case::Case;
use docket_domain::ids::{CaseId, TenantId};
use sqlx::PgPool;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::case_store_contract::{OTHER, Site, draft, on_postgres};
use super::desk::TENANT;

const CASES: usize = 40;

async fn filled(site: &Site) -> Vec<Case> {
    let mut cases = Vec::new();
    for number in 0..CASES {
        let tenant = if number % 3 == 0 { OTHER } else { TENANT };
        let write = draft(tenant, &format!("R-{number}"), None);
        assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
        cases.push(write.case);
    }
    cases
}

async fn get(reader: &dyn CaseReader, tenant: TenantId, id: CaseId) -> Option<Case> {
    reader.get(tenant, id).await.unwrap().map(|stored| stored.case)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_that_arrive_together_each_get_their_own_case_and_never_another_tenants() {
    let site = on_postgres().await;
    let cases = filled(&site).await;
    let mut loads = JoinSet::new();
    for round in 0..20 {
        for (index, case) in cases.iter().cloned().enumerate() {
            let reader = site.reader.clone();
            loads.spawn(async move {
                match (index + round) % 4 {
                    0 => {
                        let foreign = if case.tenant_id == TENANT { OTHER } else { TENANT };
                        assert_eq!(get(&*reader, foreign, case.id).await, None);
                    }
                    1 => assert_eq!(get(&*reader, case.tenant_id, CaseId(Uuid::now_v7())).await, None),
                    _ => assert_eq!(get(&*reader, case.tenant_id, case.id).await, Some(case)),
                }
            });
        }
    }
    while let Some(done) = loads.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_is_given_up_leaves_the_others_their_answers() {
    let site = on_postgres().await;
    let cases = filled(&site).await;
    for _ in 0..10 {
        let mut loads: Vec<_> = Vec::new();
        for case in cases.iter().cloned() {
            let reader = site.reader.clone();
            loads.push(tokio::spawn(async move { get(&*reader, case.tenant_id, case.id).await == Some(case) }));
        }
        tokio::task::yield_now().await;
        for load in loads.iter().step_by(2) {
            load.abort();
        }
        for load in loads.into_iter().skip(1).step_by(2) {
            assert!(load.await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_server_cut_every_kept_connection_one_failure_is_enough_to_recover() {
    let site = on_postgres().await;
    let cases = filled(&site).await;
    let owner = PgPool::connect(&site.database.as_ref().unwrap().superuser_url()).await.unwrap();
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..3 {
        sqlx::query(cut).execute(&owner).await.unwrap();
        let mut failures = 0;
        for case in &cases {
            match site.reader.get(case.tenant_id, case.id).await {
                Ok(stored) => assert_eq!(stored.map(|stored| stored.case).as_ref(), Some(case)),
                Err(_) => failures += 1,
            }
        }
        assert!(failures <= 1, "{failures} loads failed after one cut");
    }
}
