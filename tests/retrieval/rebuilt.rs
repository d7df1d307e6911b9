//! An index of words that was thrown away and built anew finds what the one before found; and what else follows the passages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use docket::adapters::bm25::{Analysis, TantivyIndex};
use docket::adapters::postgres::keyword_feed::PgKeywordFeed;
use docket::application::knowledge::follow_passages::FollowPassages;
use docket::application::models::PrefixCache;
use docket::application::ports::KeywordIndex;
use docket::application::ports::case_reader::Viewer;
use docket::application::ports::keyword_index::{Followed, KeywordChange, KeywordFeed};
use docket::application::ports::language_model::{GroundingPassage, ModelRequest, Sampling};
use docket::application::ports::passage_index::PassageFilter;
use docket_domain::case::visibility::Sight;
use docket_domain::ids::{PrincipalId, TenantId};
use docket_domain::principal::Role;
use docket_domain::retrieval::statistics::SplitMix64;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::nearest::{document, tenant_of, vector};
use crate::support::TestApp;

const WORDS: [&str; 16] = [
    "breach",
    "licence",
    "harbour",
    "pilot",
    "fee",
    "notice",
    "vessel",
    "inspector",
    "penalty",
    "appeal",
    "hours",
    "record",
    "crane",
    "mooring",
    "leak",
    "report",
];
const LEVELS: [&str; 3] = ["public", "internal", "restricted"];
/// Passages of one document.
const PASSAGES: usize = 12;

/// Follows the table like a process does.
fn following(feed: &PgKeywordFeed, stop: &CancellationToken) -> Arc<TantivyIndex> {
    following_with(feed, stop, PrefixCache::default())
}

fn following_with(feed: &PgKeywordFeed, stop: &CancellationToken, prefixes: PrefixCache) -> Arc<TantivyIndex> {
    let index = Arc::new(TantivyIndex::new(Analysis::DEFAULT));
    let ready = Arc::new(AtomicBool::new(false));
    let feed = Arc::new(feed.clone());
    let process = FollowPassages { feed, index: index.clone(), poll: Duration::from_millis(20), ready, prefixes };
    let stop = stop.clone();
    tokio::spawn(async move { process.run(stop).await });
    index
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(40), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Whom a list of hits is for: tenant, sight, question. The hits: passage and score to the last bit.
type Found = BTreeMap<(Uuid, usize, String), BTreeMap<Uuid, u64>>;

/// Every answer to every question of every kind of viewer.
fn everything(index: &TantivyIndex, tenants: &[Uuid]) -> Found {
    let mut all = Found::new();
    for tenant in tenants {
        for sees in 1..=LEVELS.len() {
            let sight = Sight { public: true, internal: sees > 1, restricted: sees > 2 };
            let viewer = Viewer { tenant_id: TenantId(*tenant), principal_id: PrincipalId(Uuid::nil()), sight };
            for pair in WORDS.windows(2) {
                let question = pair.join(" ");
                let hits = index.search(viewer, &question, &PassageFilter::default(), 1_000).unwrap();
                let hits = hits.into_iter().map(|(id, score)| (id.0, score.to_bits())).collect();
                all.insert((*tenant, sees, question), hits);
            }
        }
    }
    all
}

/// The passages alone.
fn passages(found: &Found) -> Vec<Vec<Uuid>> {
    found.values().map(|hits| hits.keys().copied().collect()).collect()
}

/// A document of random words.
async fn bring(owner: &PgPool, tenant: Uuid, principal: Uuid, numbers: &mut SplitMix64) -> Uuid {
    let mut texts = Vec::new();
    for _ in 0..PASSAGES {
        let words = (0..5 + numbers.below(20)).map(|_| WORDS[numbers.below(16)]);
        texts.push(words.collect::<Vec<_>>().join(" "));
    }
    let passages: Vec<_> = texts.iter().map(|text| (text.as_str(), vector(numbers, 1))).collect();
    let level = LEVELS[numbers.below(3)];
    document(owner, tenant, principal, level, &passages).await
}

#[tokio::test]
async fn an_index_of_words_that_was_thrown_away_is_built_anew_equal_to_the_last_bit() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    let principals = [0, 1].map(|tenant: usize| app.tenants[tenant].principals[&Role::Supervisor]);
    let mut tenants = Vec::new();
    for principal in principals {
        tenants.push(tenant_of(&owner, principal).await);
    }
    let (feed, stop, mut numbers) =
        (PgKeywordFeed::new(app.pool.clone()), CancellationToken::new(), SplitMix64::new(17));
    let followed = following(&feed, &stop);
    let mut brought = Vec::new();
    for place in 0..12 {
        brought.push(bring(&owner, tenants[place % 2], principals[place % 2], &mut numbers).await);
    }
    let there = |documents: usize| u64::try_from(documents * PASSAGES).unwrap();
    until("all are followed", || followed.passages() == there(12)).await;
    let before = everything(&followed, &tenants);
    assert!(before.values().filter(|hits| hits.len() > 5).count() > 60, "the questions find something");

    // Asked for, beside the one in use.
    let generation = followed.generation(TenantId(tenants[0]));
    feed.request_rebuild().await.unwrap();
    until("it is built anew", || followed.generation(TenantId(tenants[0])) > generation).await;
    assert!(everything(&followed, &tenants) == before, "an index that was built anew answers otherwise");

    // Gone with its process, after documents were removed and others came.
    for gone in brought.iter().step_by(4) {
        sqlx::query("DELETE FROM docket.documents WHERE id = $1").bind(gone).execute(&owner).await.unwrap();
    }
    for _ in 0..4 {
        bring(&owner, tenants[0], principals[0], &mut numbers).await;
    }
    until("the changes are followed", || followed.passages() == there(13)).await;
    let changed = everything(&followed, &tenants);
    let [first, second] = [following(&feed, &stop), following(&feed, &stop)];
    until("both are built", || first.passages() == there(13) && second.passages() == there(13)).await;
    assert!(everything(&first, &tenants) == everything(&second, &tenants), "two new ones answer differently");
    // The words of removed passages count for the scores until their segment is merged; what is found is the same.
    let anew = everything(&first, &tenants);
    assert!(passages(&anew) == passages(&changed), "a new one finds other passages than the one that followed");
    stop.cancel();
}

#[tokio::test]
async fn whoever_begins_to_follow_is_not_told_of_what_was_removed_before() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    let principal = app.tenants[0].principals[&Role::Supervisor];
    let tenant = tenant_of(&owner, principal).await;
    let (feed, mut numbers) = (PgKeywordFeed::new(app.pool.clone()), SplitMix64::new(19));
    let gone = bring(&owner, tenant, principal, &mut numbers).await;
    let stays = bring(&owner, tenant, principal, &mut numbers).await;
    sqlx::query("DELETE FROM docket.documents WHERE id = $1").bind(gone).execute(&owner).await.unwrap();
    // As long as a transaction of somebody else is older than the removal, the removal may still be news.
    let began = Instant::now();
    loop {
        let told = feed.changes(Followed::default(), 1_000).await.unwrap();
        let (removed, added): (Vec<_>, Vec<_>) =
            told.changes.iter().partition(|change| matches!(change, KeywordChange::Remove { .. }));
        if (removed.len(), added.len()) == (0, PASSAGES) {
            // What is removed from now on is told.
            sqlx::query("DELETE FROM docket.documents").execute(&owner).await.unwrap();
            let mut next = told.next;
            loop {
                let later = feed.changes(next, 1_000).await.unwrap();
                if later
                    .changes
                    .iter()
                    .any(|change| matches!(change, KeywordChange::Remove { document_id, .. } if document_id.0 == stays))
                {
                    break;
                }
                assert!(began.elapsed() < Duration::from_secs(40), "the removal is not told");
                next = later.next;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{removed:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_remembered_of_prompts_is_forgotten_where_passages_come_or_go() {
    let app = TestApp::start().await;
    let owner = app.superuser().await;
    let principals = [0, 1].map(|tenant: usize| app.tenants[tenant].principals[&Role::Supervisor]);
    let tenants = [tenant_of(&owner, principals[0]).await, tenant_of(&owner, principals[1]).await];
    let (feed, stop, mut numbers) =
        (PgKeywordFeed::new(app.pool.clone()), CancellationToken::new(), SplitMix64::new(18));
    let prefixes = PrefixCache::new(1_000_000);
    let index = following_with(&feed, &stop, prefixes.clone());
    let brought = bring(&owner, tenants[0], principals[0], &mut numbers).await;
    let there = u64::try_from(PASSAGES).unwrap();
    until("it is followed", || index.passages() == there).await;
    let questions = tenants.map(|tenant| ModelRequest {
        tenant_id: TenantId(tenant),
        instructions: "Answer.".to_owned(),
        question: "How?".to_owned(),
        passages: vec![GroundingPassage { number: 1, title: "T".to_owned(), text: "A text.".to_owned() }],
        max_output_tokens: 10,
        sampling: Sampling::Usual,
    });
    for question in &questions {
        prefixes.prepare(question);
        assert_eq!(prefixes.prepare(question), Some(true));
    }
    // Gone, replaced, new: each makes the follower forget what it knows of that tenant, and of nobody else.
    sqlx::query("DELETE FROM docket.documents WHERE id = $1").bind(brought).execute(&owner).await.unwrap();
    until("what went is forgotten", || prefixes.prepare(&questions[0]) == Some(false)).await;
    bring(&owner, tenants[0], principals[0], &mut numbers).await;
    until("what came makes it forget", || prefixes.prepare(&questions[0]) == Some(false)).await;
    assert_eq!(prefixes.prepare(&questions[1]), Some(true), "another tenant's is remembered");
    stop.cancel();
}
