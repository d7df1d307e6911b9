//! What cannot be made through the API without a network or a model: an endpoint with a delivery that was given up, a job, a
//! document with a passage, an answer. Written past the service, with the tenant's mark in every text.

use docket_domain::principal::Role;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::sown_document::SownDocument;
use crate::support::stage::Stage;

/// Kind and id of each.
pub async fn sow(stage: &Stage, tenant: usize, case: &str, mark: &str) -> Vec<(&'static str, String)> {
    let owner = stage.owner().await;
    let [admin, asker] = [Role::Admin, Role::Caseworker].map(|role| stage.tenants[tenant].principals[&role]);
    let sown = SownDocument { admin, collection: mark, title: mark, text: mark, confidentiality: "public" };
    let document = sown.sow(&owner).await;
    let [endpoint, job, answer] = std::array::from_fn(|_| Uuid::now_v7());
    let hash = Uuid::now_v7().as_bytes().repeat(2);
    let statements = [
        "INSERT INTO docket.webhook_endpoints (tenant_id, id, name, url, event_types, enabled, created_at, updated_at)
         SELECT tenant, endpoint, mark, 'https://' || mark || '.example/', '{}', false, now(), now() FROM given",
        "INSERT INTO docket.delivery_lanes (tenant_id, destination_id, case_id, pending, state, attempts, last_error)
         SELECT tenant, endpoint, concerned, 1, 'dead', 8, mark FROM given",
        "INSERT INTO docket.deliveries (tenant_id, destination_id, case_id, sequence, event_id)
         SELECT tenant, endpoint, concerned, sequence, id FROM given JOIN docket.outbox_events ON case_id = concerned
         WHERE sequence = 1",
        "INSERT INTO docket.jobs (tenant_id, id, kind, payload, priority, lane, run_at, requested_by, created_at)
         SELECT tenant, job, 'probe', json_build_object('note', mark), 3, 3, now() + interval '1 day', admin, now() FROM given",
        "INSERT INTO docket.answers (tenant_id, id, principal_id, fingerprint, state, lease_until, question, body,
             confidentiality, document_ids, created_at, finished_at)
         SELECT tenant, answer, asker, hash, 'done', now(), mark, json_build_object('text', mark), 'public',
                ARRAY[document], now(), now() FROM given",
    ];
    for statement in statements {
        // Every statement takes the same parameters, used or not.
        let statement = format!(
            "WITH given AS (SELECT p.tenant_id AS tenant, p.id AS admin, $2::uuid AS asker, $3::uuid AS concerned, $4::text AS mark,
                 $5::uuid AS endpoint, $6::uuid AS job, $7::uuid AS document, $8::uuid AS answer, $9::bytea AS hash
                 FROM docket.principals p WHERE p.id = $1) {statement}"
        );
        let insert = sqlx::query(AssertSqlSafe(statement)).bind(admin).bind(asker).bind(Uuid::parse_str(case).unwrap());
        let insert = insert.bind(mark).bind(endpoint).bind(job).bind(document).bind(answer).bind(&hash);
        assert_eq!(insert.execute(&owner).await.unwrap().rows_affected(), 1);
    }
    owner.close().await;
    [("endpoint", endpoint), ("job", job), ("document", document), ("answer", answer)]
        .map(|(kind, id)| (kind, id.to_string()))
        .into()
}
