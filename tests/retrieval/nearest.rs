//! Vectors in PostgreSQL: exact in small tenants, by the graph in large ones, and what the graph misses.

use docket::adapters::postgres::passage_index::PgPassageIndex;
use docket::application::ports::PassageIndex;
use docket::application::ports::case_reader::Viewer;
use docket::application::ports::passage_index::{Method, PassageFilter};
use docket_domain::case::visibility::Sight;
use docket_domain::ids::{ChunkId, DocumentId, PrincipalId, TenantId};
use docket_domain::principal::Role;
use docket_domain::retrieval::statistics::SplitMix64;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::support::TestApp;

const DIMENSIONS: usize = 384;

/// Vectors around a hundred centres, as texts about a hundred subjects are.
pub fn vector(numbers: &mut SplitMix64, centre: u64) -> Vec<f32> {
    let mut around = SplitMix64::new(centre % 100);
    #[allow(clippy::cast_precision_loss)]
    let next = |numbers: &mut SplitMix64| (numbers.below(2_001) as f32 - 1_000.0) / 1_000.0;
    let mut values: Vec<f32> = (0..DIMENSIONS).map(|_| next(&mut around) + 0.7 * next(numbers)).collect();
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    for value in &mut values {
        *value /= length;
    }
    values
}

/// A document with a passage for each vector.
pub async fn document(
    owner: &PgPool,
    tenant: Uuid,
    principal: Uuid,
    level: &str,
    passages: &[(&str, Vec<f32>)],
) -> Uuid {
    let (collection, document) = (Uuid::now_v7(), Uuid::now_v7());
    let sha = [u8::try_from(document.as_u128() % 251).unwrap(); 32];
    let collection: Uuid = sqlx::query_scalar(
        "INSERT INTO docket.collections VALUES ($1, $2, 'rules', 'recursive', 200, 20, $3, now())
         ON CONFLICT (tenant_id, name) DO UPDATE SET name = excluded.name RETURNING id",
    )
    .bind(tenant)
    .bind(collection)
    .bind(principal)
    .fetch_one(owner)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO docket.evidence_blobs (tenant_id, sha256, size_bytes, media_type, created_at)
         VALUES ($1, $2, 1, 'text/plain', now()) ON CONFLICT DO NOTHING",
    )
    .bind(tenant)
    .bind(&sha[..])
    .execute(owner)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO docket.documents (tenant_id, id, collection_id, title, source, media_type, sha256, size_bytes,
             confidentiality, status, generation, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, 'A rulebook', $4, 'text/plain', $5, 1, $6, 'ready', 1, $7, now(), now())",
    )
    .bind(tenant)
    .bind(document)
    .bind(collection)
    .bind(document.to_string())
    .bind(&sha[..])
    .bind(level)
    .bind(principal)
    .execute(owner)
    .await
    .unwrap();
    let ids: Vec<Uuid> = passages.iter().map(|_| Uuid::now_v7()).collect();
    let texts: Vec<&str> = passages.iter().map(|(text, _)| *text).collect();
    let vectors: Vec<String> = passages.iter().map(|(_, vector)| format!("{vector:?}")).collect();
    sqlx::query(
        "INSERT INTO docket.chunks (tenant_id, id, document_id, collection_id, generation, ordinal, text, heading_path,
             char_start, char_end, token_count, content_sha256, embedding, confidentiality, created_by)
         SELECT $1, id, $2, $3, 1, place::integer - 1, text, '{Part}', 0, 1, 1, sha256(text::bytea), embedding::vector, $4, $5
         FROM unnest($6::uuid[], $7::text[], $8::text[]) WITH ORDINALITY AS given (id, text, embedding, place)",
    )
    .bind(tenant).bind(document).bind(collection).bind(level).bind(principal).bind(&ids).bind(&texts).bind(&vectors)
    .execute(owner).await.unwrap();
    document
}

/// The tenant of one of the application's first tenants.
pub async fn tenant_of(owner: &PgPool, principal: Uuid) -> Uuid {
    sqlx::query_scalar("SELECT tenant_id FROM docket.principals WHERE id = $1")
        .bind(principal)
        .fetch_one(owner)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_graph_finds_what_the_comparison_of_every_vector_finds() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    let principals = [0, 1].map(|tenant: usize| app.tenants[tenant].principals[&Role::Supervisor]);
    let mut numbers = SplitMix64::new(11);
    let mut tenants = Vec::new();
    for (principal, count) in principals.into_iter().zip([4_000_u64, 400]) {
        let tenant = tenant_of(&owner, principal).await;
        let passages: Vec<_> = (0..count).map(|n| ("text", vector(&mut numbers, n))).collect();
        document(&owner, tenant, principal, "public", &passages).await;
        tenants.push(tenant);
    }
    sqlx::query("ANALYZE docket.chunks").execute(&owner).await.unwrap();
    let exact = PgPassageIndex::new(app.pool.clone());
    let graph = PgPassageIndex::with_threshold(app.pool.clone(), 0);
    let sight = Sight { public: true, internal: true, restricted: true };
    for tenant in tenants {
        let viewer = Viewer { tenant_id: TenantId(tenant), principal_id: PrincipalId(Uuid::nil()), sight };
        let (mut shared, mut all) = (0, 0);
        for question in 0..20 {
            let query = vector(&mut numbers, question);
            let filter = PassageFilter::default();
            let truth = exact.nearest(viewer, &query, &filter, 10).await.unwrap();
            let found = graph.nearest(viewer, &query, &filter, 10).await.unwrap();
            assert_eq!((truth.method, found.method), (Method::Exact, Method::Hnsw));
            assert!(truth.hits.windows(2).all(|pair| pair[0].1 >= pair[1].1), "best first");
            let truth: Vec<ChunkId> = truth.hits.iter().map(|(id, _)| *id).collect();
            shared += found.hits.iter().filter(|(id, _)| truth.contains(id)).count();
            all += truth.len();
        }
        assert_eq!(all, 200);
        assert!(shared * 100 >= all * 98, "recall {shared} of {all}");
        used_the_graph(&owner, &graph, viewer, &vector(&mut numbers, 0)).await;
    }
}

#[tokio::test]
async fn what_few_passages_pass_a_filter_are_found_however_far_they_lie_from_the_question() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    let principal = app.tenants[0].principals[&Role::Supervisor];
    let tenant = tenant_of(&owner, principal).await;
    let mut numbers = SplitMix64::new(12);
    let near: Vec<_> = (0..3_000).map(|_| ("text", vector(&mut numbers, 1))).collect();
    document(&owner, tenant, principal, "public", &near).await;
    let far: Vec<_> = (0..15).map(|_| ("text", vector(&mut numbers, 2))).collect();
    let far = document(&owner, tenant, principal, "public", &far).await;
    sqlx::query("ANALYZE docket.chunks").execute(&owner).await.unwrap();
    // As in a tenant of many times that size: the graph is left after so many passages.
    let pool = PgPoolOptions::new().after_connect(|connection, _| {
        Box::pin(async move {
            sqlx::query("LOAD 'vector'").execute(&mut *connection).await.ok();
            sqlx::query("SET hnsw.max_scan_tuples = 300").execute(connection).await.map(drop)
        })
    });
    let pool = pool.connect(&app.database.app_url()).await.unwrap();
    let graph = PgPassageIndex::with_threshold(pool, 0);
    let sight = Sight { public: true, internal: true, restricted: true };
    let viewer = Viewer { tenant_id: TenantId(tenant), principal_id: PrincipalId(Uuid::nil()), sight };
    let query = vector(&mut numbers, 1);
    let filter = PassageFilter { documents: vec![DocumentId(far)], ..PassageFilter::default() };
    let found = graph.nearest(viewer, &query, &filter, 10).await.unwrap();
    assert_eq!((found.hits.len(), found.method), (10, Method::Exact));
    let all = graph.nearest(viewer, &query, &PassageFilter::default(), 10).await.unwrap();
    assert_eq!((all.hits.len(), all.method), (10, Method::Hnsw));
}

/// The planner takes the graph, instead of comparing every vector here, too; a server counts scans with a delay of a second.
async fn used_the_graph(owner: &PgPool, graph: &PgPassageIndex, viewer: Viewer, query: &[f32]) {
    let scans = async || {
        let digit = viewer.tenant_id.0.as_u128() & 15;
        let counted = "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1";
        let counted = sqlx::query_scalar::<_, i64>(counted).bind(format!("chunks_by_meaning_{digit}"));
        counted.fetch_one(owner).await.unwrap()
    };
    let before = scans().await;
    for _ in 0..300 {
        graph.nearest(viewer, query, &PassageFilter::default(), 10).await.unwrap();
        if scans().await > before {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the planner does not use the graph");
}
