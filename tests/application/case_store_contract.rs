//! The contract of [`CaseStore`], kept by every implementation: the same functions run on the fake and on PostgreSQL.
//!
//! To add an implementation: give it a `Site` and a line in `holds_for!`.

use std::sync::Arc;
use std::time::Duration as StdDuration;

use docket::adapters::postgres::pool::PoolSettings;
use docket::adapters::postgres::{self, Lane, PgCaseReader, PgCaseStore};
use docket::application::cases::unit_of_work::plain;
use docket::application::cases::write_draft::{self, Act, Decision};
use docket::application::ports::case_store::{
    Attachment, CaseWrite, Commit, KeyScope, NoteKind, RowChange, StoredCase,
};
use docket::application::ports::{CaseReader, CaseStore};
use docket::application::request::{Caller, Claim, Rendered};
use docket_domain::audit::Outcome;
use docket_domain::case::{Case, EventType, LinkKind, NewCase, Notices, State, fields};
use docket_domain::ids::{CaseId, LinkId, NoteId, TenantId};
use sqlx::PgPool;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::desk::{TENANT, caseworker, claim, new_case, reporter};
use super::fakes::MemoryStore;
use super::support::database::TestDatabase;

const NOW: OffsetDateTime = datetime!(2026-11-21 10:00:00.123456 UTC);
pub(crate) const OTHER: TenantId = TenantId(Uuid::from_u128(0x07e4));

/// Where the contract is tried: a store with both tenants in it.
pub(crate) struct Site {
    pub(crate) store: Arc<dyn CaseStore>,
    pub(crate) reader: Arc<dyn CaseReader>,
    /// Kept until the test ends.
    pub(crate) database: Option<TestDatabase>,
}

pub(crate) async fn on_postgres() -> Site {
    let database = TestDatabase::new().await;
    let owner = PgPool::connect(&database.superuser_url()).await.unwrap();
    for (id, name) in [(TENANT, "one"), (OTHER, "other")] {
        let insert = "INSERT INTO docket.tenants (id, name, display_name, created_at) VALUES ($1, $2, $2, $3)";
        sqlx::query(insert).bind(id.0).bind(name).bind(NOW).execute(&owner).await.unwrap();
    }
    owner.close().await;
    let url = database.app_url();
    let (acquire_timeout, statement_timeout) = (StdDuration::from_secs(5), StdDuration::from_secs(10));
    let pool = postgres::connect(&PoolSettings { url, size: 8, acquire_timeout, statement_timeout }).await.unwrap();
    let lane = Lane::beside(&pool);
    let store = Arc::new(PgCaseStore::new(pool.clone(), lane.clone()));
    let reader = Arc::new(PgCaseReader::new(pool, lane));
    Site { store, reader, database: Some(database) }
}

/// Writes each function of the contract as a test of each implementation.
macro_rules! holds_for {
    ($($site:ident: $($name:ident),* $(,)?;)*) => {$(
        mod $site {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::$site().await).await;
            })*
        }
    )*};
}

macro_rules! contract {
    ($($name:ident),* $(,)?) => { holds_for! { on_memory: $($name),*; on_postgres: $($name),*; } };
}

// As a future, because opening a database is one.
fn on_memory() -> std::future::Ready<Site> {
    let store = Arc::new(MemoryStore::default());
    std::future::ready(Site { store: store.clone(), reader: store, database: None })
}

contract! {
    what_is_committed_is_loaded_whole,
    the_answer_under_a_key_is_loaded_to_the_byte_with_and_without_the_case,
    another_tenant_sees_neither_the_case_nor_the_answer_and_cannot_write,
    a_write_decided_on_another_version_or_chain_is_stale_and_leaves_nothing,
    a_key_is_taken_by_its_first_commit_and_nothing_of_a_second_one_stays,
    an_expired_answer_stays_until_it_is_forgotten_and_a_live_one_is_not_forgotten,
    a_reference_is_taken_once_in_a_tenant,
    a_link_needs_a_target_in_the_tenant_and_is_made_once,
    a_record_without_a_change_moves_the_chain_and_nothing_else,
    an_edit_changes_the_fields_and_a_deleted_case_is_gone,
    notes_are_read_in_the_order_of_their_writing,
    of_many_writers_on_one_version_one_wins,
    of_many_writers_with_one_key_one_wins_and_none_waits,
}

fn act<'a>(
    caller: &'a Caller,
    claim: Option<&'a Claim>,
    rendered: Option<&'a Rendered>,
    now: OffsetDateTime,
) -> Act<'a> {
    Act {
        caller,
        claim,
        rendered,
        now,
        key_expires_at: now + Duration::hours(1),
        event_id: Uuid::now_v7(),
        completes: None,
    }
}

fn rendered(body: &str) -> Rendered {
    let (etag, location) = (Some("\"v1\"".to_owned()), Some("/here".to_owned()));
    Rendered { status: 201, etag, location, body: body.to_owned() }
}

fn in_tenant(mut caller: Caller, tenant: TenantId) -> Caller {
    caller.actor.tenant_id = tenant;
    caller
}

pub(crate) fn draft(tenant: TenantId, reference: &str, claim: Option<&Claim>) -> CaseWrite {
    let caller = in_tenant(reporter(), tenant);
    let attributes = serde_json::json!({"big": 18_446_744_073_709_551_615_u64, "float": 0.1, "text": "é😀"});
    let new = NewCase { attributes: attributes.as_object().unwrap().clone(), ..new_case(reference) };
    let case = fields::create(CaseId(Uuid::now_v7()), new, &caller.actor, NOW).unwrap();
    let decision = plain(RowChange::Insert, case, "case.create".to_owned(), EventType::CaseCreated, None);
    let answer = rendered(&format!("{{\"created\":\"{reference} é\\u0000\"}}"));
    write_draft::accepted(&act(&caller, claim, Some(&answer), NOW), None, decision).unwrap()
}

async fn put(site: &Site, reference: &str) -> StoredCase {
    let write = draft(TENANT, reference, None);
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
    load(site, write.case.id).await.expect("what was committed is there")
}

async fn load(site: &Site, case: CaseId) -> Option<StoredCase> {
    site.store.load(TENANT, case, None).await.unwrap().case
}

/// A note added by the caseworker: version and chain go on by one.
fn noted(before: &StoredCase, claim: Option<&Claim>) -> CaseWrite {
    let (caller, answer) = (caseworker(), rendered("noted"));
    write_draft::accepted(&act(&caller, claim, Some(&answer), NOW), Some(before), note(before)).unwrap()
}

/// An act of the caseworker on the case alone, without anything that hangs on it.
pub(crate) fn changed(before: &StoredCase, claim: Option<&Claim>) -> CaseWrite {
    let (caller, answer) = (in_tenant(caseworker(), before.case.tenant_id), rendered("changed"));
    let decision = Decision { attachments: Vec::new(), ..note(before) };
    write_draft::accepted(&act(&caller, claim, Some(&answer), NOW), Some(before), decision).unwrap()
}

fn note(before: &StoredCase) -> Decision {
    let mut case = before.case.clone();
    case.version += 1;
    case.updated_at = NOW + Duration::minutes(5);
    let row = Attachment::Note { id: NoteId(Uuid::now_v7()), kind: NoteKind::Note, body: "text".to_owned() };
    let decision = plain(RowChange::Lifecycle, case, "case.add_note".to_owned(), EventType::CaseNoteAdded, None);
    Decision { attachments: vec![row], ..decision }
}

fn scope(claim: &Claim) -> KeyScope<'_> {
    KeyScope { principal_id: caseworker().actor.principal_id, key: &claim.key }
}

async fn what_is_committed_is_loaded_whole(site: &Site) {
    let write = draft(TENANT, "R-1", None);
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
    let stored = load(site, write.case.id).await.unwrap();
    assert_eq!((&stored.case, stored.head), (&write.case, write.head));
    let decision = Decision {
        case: Case {
            version: 2,
            state: State::AwaitingInformation,
            assignee_id: Some(caseworker().actor.principal_id),
            proposed_by: Some(reporter().actor.principal_id),
            decision: Some("Fine.".to_owned()),
            open_information_requests: 3,
            deadline_extended: true,
            due_at: Some(NOW + Duration::days(3)),
            clock_paused_at: Some(NOW),
            notices: Notices {
                working_seconds: Some(864_000),
                warned_75_at: Some(NOW - Duration::hours(3)),
                warned_90_at: Some(NOW - Duration::hours(2)),
                breached_at: Some(NOW - Duration::hours(1)),
                next_at: Some(NOW + Duration::hours(1)),
            },
            updated_at: NOW,
            closed_at: Some(NOW),
            ..stored.case.clone()
        },
        attachments: Vec::new(),
        ..note(&stored)
    };
    let caller = caseworker();
    let write = write_draft::accepted(&act(&caller, None, None, NOW), Some(&stored), decision).unwrap();
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
    let read = site.reader.get(TENANT, stored.case.id).await.unwrap().unwrap();
    assert_eq!((read.case, read.head), (write.case, write.head));
}

async fn the_answer_under_a_key_is_loaded_to_the_byte_with_and_without_the_case(site: &Site) {
    let before = put(site, "R-1").await;
    let claim = claim("k", 7);
    let write = noted(&before, Some(&claim));
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
    let loaded = site.store.load(TENANT, before.case.id, Some(scope(&claim))).await.unwrap();
    let alone = site.store.load_answer(TENANT, scope(&claim)).await.unwrap();
    for answer in [loaded.answer.unwrap(), alone.unwrap()] {
        assert_eq!((answer.rendered, answer.fingerprint), (rendered("noted"), claim.fingerprint));
        assert!(!answer.expired, "it lives for an hour by the store's clock, whatever the time of the act");
    }
    let others = KeyScope { principal_id: reporter().actor.principal_id, key: &claim.key };
    assert!(site.store.load_answer(TENANT, others).await.unwrap().is_none(), "a key belongs to its principal");
    assert!(site.store.load(TENANT, before.case.id, Some(others)).await.unwrap().answer.is_none());
}

async fn another_tenant_sees_neither_the_case_nor_the_answer_and_cannot_write(site: &Site) {
    let before = put(site, "R-1").await;
    let claim = claim("k", 7);
    site.store.commit(&noted(&before, Some(&claim))).await.unwrap();
    let foreign = site.store.load(OTHER, before.case.id, Some(scope(&claim))).await.unwrap();
    assert!(foreign.case.is_none() && foreign.answer.is_none());
    assert!(site.store.load_answer(OTHER, scope(&claim)).await.unwrap().is_none());
    assert!(site.reader.get(OTHER, before.case.id).await.unwrap().is_none());
    let mut write = noted(&load(site, before.case.id).await.unwrap(), None);
    write.case.tenant_id = OTHER;
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Stale);
}

async fn a_write_decided_on_another_version_or_chain_is_stale_and_leaves_nothing(site: &Site) {
    let before = put(site, "R-1").await;
    let claim = claim("k", 7);
    assert_eq!(site.store.commit(&noted(&before, None)).await.unwrap(), Commit::Done);
    assert_eq!(site.store.commit(&noted(&before, Some(&claim))).await.unwrap(), Commit::Stale);
    let mut chain_moved = load(site, before.case.id).await.unwrap();
    chain_moved.head.seq -= 1;
    assert_eq!(site.store.commit(&noted(&chain_moved, Some(&claim))).await.unwrap(), Commit::Stale);
    let now = load(site, before.case.id).await.unwrap();
    assert_eq!((now.case.version, now.head.seq), (2, 2));
    assert!(site.store.load_answer(TENANT, scope(&claim)).await.unwrap().is_none());
    assert_eq!(site.reader.notes(TENANT, before.case.id, None, 10).await.unwrap().len(), 1);
}

async fn a_key_is_taken_by_its_first_commit_and_nothing_of_a_second_one_stays(site: &Site) {
    let before = put(site, "R-1").await;
    let claim = claim("k", 7);
    site.store.commit(&noted(&before, Some(&claim))).await.unwrap();
    let now = load(site, before.case.id).await.unwrap();
    assert_eq!(site.store.commit(&noted(&now, Some(&claim))).await.unwrap(), Commit::KeyTaken);
    let after = load(site, before.case.id).await.unwrap();
    assert_eq!((after.case, after.head), (now.case, now.head));
    assert_eq!(site.reader.notes(TENANT, before.case.id, None, 10).await.unwrap().len(), 1);
    let first = draft(TENANT, "R-2", Some(&claim));
    assert_eq!(site.store.commit(&first).await.unwrap(), Commit::Done, "the reporter's key of the same name");
    let second = draft(TENANT, "R-3", Some(&claim));
    assert_eq!(site.store.commit(&second).await.unwrap(), Commit::KeyTaken);
    assert!(load(site, second.case.id).await.is_none());
}

async fn an_expired_answer_stays_until_it_is_forgotten_and_a_live_one_is_not_forgotten(site: &Site) {
    let before = put(site, "R-1").await;
    let (long, claim) = (claim("long", 7), claim("k", 7));
    site.store.commit(&noted(&before, Some(&long))).await.unwrap();
    site.store.forget_expired(TENANT, scope(&long)).await.unwrap();
    assert!(site.store.load_answer(TENANT, scope(&long)).await.unwrap().is_some(), "it is still alive");
    let before = load(site, before.case.id).await.unwrap();
    let mut write = noted(&before, Some(&claim));
    let answer = write.answer.as_mut().unwrap();
    // A lifetime of nothing.
    answer.expires_at = write.audit.occurred_at;
    site.store.commit(&write).await.unwrap();
    site.store.forget_expired(OTHER, scope(&claim)).await.unwrap();
    let expired = site.store.load_answer(TENANT, scope(&claim)).await.unwrap().expect("another tenant's key");
    assert!(expired.expired);
    site.store.forget_expired(TENANT, scope(&claim)).await.unwrap();
    assert!(site.store.load_answer(TENANT, scope(&claim)).await.unwrap().is_none());
    let now = load(site, before.case.id).await.unwrap();
    assert_eq!(site.store.commit(&noted(&now, Some(&claim))).await.unwrap(), Commit::Done);
}

async fn a_reference_is_taken_once_in_a_tenant(site: &Site) {
    put(site, "R-1").await;
    let again = draft(TENANT, "R-1", Some(&claim("k", 7)));
    assert_eq!(site.store.commit(&again).await.unwrap(), Commit::ReferenceTaken);
    assert!(load(site, again.case.id).await.is_none());
    assert_eq!(site.store.commit(&draft(OTHER, "R-1", None)).await.unwrap(), Commit::Done);
}

async fn a_link_needs_a_target_in_the_tenant_and_is_made_once(site: &Site) {
    let (from, to) = (put(site, "R-1").await, put(site, "R-2").await);
    let foreign = draft(OTHER, "R-1", None);
    site.store.commit(&foreign).await.unwrap();
    let linked = |before: &StoredCase, target, kind| {
        let row = Attachment::Link { id: LinkId(Uuid::now_v7()), target, kind, reason: "same pipe".to_owned() };
        let caller = caseworker();
        let decision = Decision { attachments: vec![row], ..note(before) };
        write_draft::accepted(&act(&caller, None, None, NOW), Some(before), decision).unwrap()
    };
    let to = to.case.id;
    for missing in [CaseId(Uuid::now_v7()), foreign.case.id] {
        let write = linked(&from, missing, LinkKind::RelatesTo);
        assert_eq!(site.store.commit(&write).await.unwrap(), Commit::NoSuchTarget);
    }
    assert_eq!(site.store.commit(&linked(&from, to, LinkKind::RelatesTo)).await.unwrap(), Commit::Done);
    let now = load(site, from.case.id).await.unwrap();
    assert_eq!(site.store.commit(&linked(&now, to, LinkKind::RelatesTo)).await.unwrap(), Commit::LinkExists);
    assert_eq!(load(site, from.case.id).await.unwrap().case.version, 2, "nothing of the refused link stays");
    assert_eq!(site.store.commit(&linked(&now, to, LinkKind::Duplicates)).await.unwrap(), Commit::Done);
}

async fn a_record_without_a_change_moves_the_chain_and_nothing_else(site: &Site) {
    let before = put(site, "R-1").await;
    let (caller, claim, answer) = (caseworker(), claim("k", 7), rendered("refused"));
    let act = act(&caller, Some(&claim), Some(&answer), NOW + Duration::hours(2));
    let write = write_draft::recorded(&act, &before, "case.close".to_owned(), Outcome::Conflict, None).unwrap();
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
    let after = site.store.load(TENANT, before.case.id, Some(scope(&claim))).await.unwrap();
    assert_eq!(after.answer.unwrap().rendered, answer);
    let after = after.case.unwrap();
    assert_eq!((&after.case, after.head), (&before.case, write.head));
    assert_eq!(site.store.commit(&noted(&before, None)).await.unwrap(), Commit::Stale, "the old chain's end");
    assert_eq!(site.store.commit(&noted(&after, None)).await.unwrap(), Commit::Done);
}

async fn an_edit_changes_the_fields_and_a_deleted_case_is_gone(site: &Site) {
    let before = put(site, "R-1").await;
    let caller = caseworker();
    let mut case = Case { version: 2, title: "New".to_owned(), legal_hold: true, ..before.case.clone() };
    case.attributes.insert("more".to_owned(), serde_json::json!([1.5, null]));
    let decision = plain(RowChange::Fields, case.clone(), "case.update".to_owned(), EventType::CaseUpdated, None);
    let write = write_draft::accepted(&act(&caller, None, None, NOW), Some(&before), decision).unwrap();
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
    let edited = load(site, case.id).await.unwrap();
    assert_eq!(edited.case, case);
    let lifted = Case { version: 3, legal_hold: false, ..case };
    let decision = plain(RowChange::Fields, lifted.clone(), "case.update".to_owned(), EventType::CaseUpdated, None);
    let write = write_draft::accepted(&act(&caller, None, None, NOW), Some(&edited), decision).unwrap();
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
    let before = load(site, lifted.id).await.unwrap();
    let last = Case { version: 4, ..lifted };
    let decision = plain(RowChange::Delete, last, "case.delete".to_owned(), EventType::CaseDeleted, None);
    let write = write_draft::accepted(&act(&caller, None, None, NOW), Some(&before), decision).unwrap();
    assert_eq!(site.store.commit(&write).await.unwrap(), Commit::Done);
    assert!(load(site, before.case.id).await.is_none());
    assert_eq!(site.store.commit(&noted(&before, None)).await.unwrap(), Commit::Stale, "a case that is gone");
    put(site, "R-1").await;
}

async fn notes_are_read_in_the_order_of_their_writing(site: &Site) {
    let mut stored = put(site, "R-1").await;
    for _ in 0..3 {
        assert_eq!(site.store.commit(&noted(&stored, None)).await.unwrap(), Commit::Done);
        stored = load(site, stored.case.id).await.unwrap();
    }
    let notes = site.reader.notes(TENANT, stored.case.id, None, 10).await.unwrap();
    assert!(notes.len() == 3 && notes.is_sorted_by_key(|note| note.id));
    let rest = site.reader.notes(TENANT, stored.case.id, Some(notes[0].id), 1).await.unwrap();
    assert_eq!(rest.iter().map(|note| note.id).collect::<Vec<_>>(), [notes[1].id]);
    assert_eq!((rest[0].author_id, rest[0].created_at), (caseworker().actor.principal_id, NOW));
}

async fn commit_all(site: &Site, writes: Vec<CaseWrite>) -> Vec<Commit> {
    let commits = writes.into_iter().map(|write| {
        let store = site.store.clone();
        tokio::spawn(async move { store.commit(&write).await.unwrap() })
    });
    let mut outcomes = Vec::new();
    for commit in commits.collect::<Vec<_>>() {
        outcomes.push(commit.await.unwrap());
    }
    outcomes
}

async fn of_many_writers_on_one_version_one_wins(site: &Site) {
    let before = put(site, "R-1").await;
    let outcomes = commit_all(site, (0..12).map(|_| noted(&before, None)).collect()).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Commit::Done).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Commit::Done | Commit::Stale)), "{outcomes:?}");
    assert_eq!(load(site, before.case.id).await.unwrap().case.version, 2);
}

async fn of_many_writers_with_one_key_one_wins_and_none_waits(site: &Site) {
    let claim = claim("k", 7);
    let writes = (0..12).map(|number| draft(TENANT, &format!("R-{number}"), Some(&claim)));
    let outcomes = commit_all(site, writes.collect()).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Commit::Done).count(), 1, "{outcomes:?}");
    let told = |outcome: &Commit| matches!(outcome, Commit::Done | Commit::KeyTaken | Commit::KeyInFlight);
    assert!(outcomes.iter().all(told), "{outcomes:?}");
}
