//! The audit trail: canonical form, chain and diff hold for arbitrary records, and any single byte of tampering shows.

use docket_domain::audit::chain::{link_hash, verify_link};
use docket_domain::audit::checkpoint::{CheckpointStatement, digest_heads};
use docket_domain::audit::record::changes;
use docket_domain::audit::{AuditRecord, ChainFault, ChainHead, Outcome, StateChange, verify_chain};
use docket_domain::case::State;
use docket_domain::ids::{CaseId, PrincipalId, TenantId};
use docket_domain::principal::{PrincipalKind, Role, Roles};
use proptest::prelude::*;
use serde_json::{Map, Number, Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

/// Text with what breaks naive encoders: escapes, surrogate pairs, line separators, keys that sort differently in UTF-16.
fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,12}",
        prop::sample::select(vec!["", "\u{0}\u{1f}\"\\/", "é\u{301}", "😀\u{fb33}", "\u{2028}\u{2029}", "\u{10ffff}"])
            .prop_map(str::to_owned),
    ]
}

fn numbers() -> impl Strategy<Value = Value> {
    let finite = any::<f64>().prop_filter_map("finite", |float| Number::from_f64(float).map(Value::Number));
    let edges = vec![
        json!(u64::MAX),
        json!(i64::MIN),
        json!(9_007_199_254_740_993_u64),
        json!(-0.0),
        json!(1e21),
        json!(5e-324),
        json!(1.0),
        json!(0.1),
    ];
    prop_oneof![
        finite,
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(edges)
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf =
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), numbers(), texts().prop_map(Value::from)];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((texts(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn objects() -> impl Strategy<Value = Value> {
    let name = prop_oneof![4 => "[a-d]", 1 => texts()];
    prop::collection::vec((name, values()), 0..7)
        .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>()))
}

fn records() -> impl Strategy<Value = AuditRecord> {
    let ids = (any::<u128>(), any::<u128>(), prop::option::of(any::<u128>()));
    let names = (texts(), texts(), prop::option::of(texts()), prop::option::of(0_u16..600));
    let choices = (
        prop::sample::select(Outcome::ALL),
        prop::option::of(prop::sample::select(State::ALL)),
        prop::collection::vec(prop::sample::select(Role::ALL), 0..3),
        prop::sample::select(PrincipalKind::ALL),
    );
    let contents = (prop::option::of(values()), prop::option::of(objects()), prop::option::of(values()));
    // Years 1 to 9999 in microseconds, what RFC 3339 and PostgreSQL can both say.
    let micros = -62_135_596_800_000_000_i128..253_402_300_800_000_000;
    (ids, names, choices, contents, micros).prop_map(|(ids, names, choices, contents, micros)| AuditRecord {
        seq: 1,
        tenant_id: TenantId(Uuid::from_u128(ids.0)),
        chain_id: Uuid::from_u128(ids.1),
        case_id: ids.2.map(|id| CaseId(Uuid::from_u128(id))),
        actor_id: PrincipalId(Uuid::from_u128(ids.1 ^ ids.0)),
        actor_type: choices.3,
        actor_roles: Roles::of(&choices.2),
        on_behalf_of: ids.2.map(|id| PrincipalId(Uuid::from_u128(id))),
        agent_run_id: ids.2.map(Uuid::from_u128),
        action: names.0,
        outcome: choices.0,
        http_status: names.3,
        request_id: names.1.clone(),
        trace_id: names.1,
        idempotency_key_hash: names.2.clone(),
        reason: names.2,
        states: StateChange { from: choices.1, to: choices.1 },
        case_version: names.3.map(u64::from),
        guard_results: contents.0,
        before: contents.1.clone(),
        after: contents.1,
        diff: contents.2,
        occurred_at: OffsetDateTime::from_unix_timestamp_nanos(micros * 1_000).expect("inside the calendar"),
    })
}

type Link = (AuditRecord, [u8; 32], [u8; 32]);

fn chain(records: Vec<AuditRecord>) -> Vec<Link> {
    let mut head = ChainHead::EMPTY;
    let numbered = (1..).zip(records).map(|(seq, record)| AuditRecord { seq, ..record });
    numbered
        .map(|record| {
            let next = head.append(&record).expect("canonical");
            let link = (record, head.hash, next.hash);
            head = next;
            link
        })
        .collect()
}

fn verify(links: &[Link]) -> Result<ChainHead, ChainFault> {
    verify_chain(links.iter().map(|(record, previous, hash)| (record, *previous, *hash)))
}

proptest! {
    #[test]
    fn the_canonical_form_survives_the_way_into_the_database_and_back(record in records()) {
        let canonical = record.canonical().expect("canonical");
        prop_assert_eq!(&canonical, &serde_jcs::to_vec(&record).expect("canonical by the library"));
        let text = String::from_utf8(canonical.clone()).expect("UTF-8");
        let read: AuditRecord = serde_json::from_str(&text).expect("reads back");
        prop_assert_eq!(String::from_utf8(read.canonical().expect("canonical")).unwrap(), text);
        // The plain form has other numbers (1.0, 1e21) and another order; the canonical form made from it is the same.
        let plain = serde_json::to_string(&record).expect("serialises");
        let read: AuditRecord = serde_json::from_str(&plain).expect("reads back");
        prop_assert_eq!(read.canonical().expect("canonical"), canonical);
    }

    #[test]
    fn an_untouched_chain_of_any_records_verifies(records in prop::collection::vec(records(), 0..6)) {
        let links = chain(records);
        let head = links.last().map_or(ChainHead::EMPTY, |(record, _, hash)| ChainHead { seq: record.seq, hash: *hash });
        prop_assert_eq!(verify(&links), Ok(head));
    }

    #[test]
    fn any_changed_byte_of_a_record_is_found_where_it_stands(
        records in prop::collection::vec(records(), 1..5), at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), flip in 1_u8..=255
    ) {
        let mut links = chain(records);
        let index = at.index(links.len());
        let mut stored = links[index].0.canonical().expect("canonical");
        let position = byte.index(stored.len());
        stored[position] ^= flip;
        // Bytes that no longer read as a record are found by reading; the rest must be found by the chain.
        let Ok(changed) = serde_json::from_slice::<AuditRecord>(&stored) else { return Ok(()) };
        // A different spelling of the same record (an upper-case digit of a UUID) is no change of what it says.
        prop_assume!(changed.canonical().expect("canonical") != links[index].0.canonical().expect("canonical"));
        links[index].0 = changed;
        let fault = verify(&links).expect_err("tampering is evident");
        let seq = u64::try_from(index).unwrap() + 1;
        let gap = matches!(fault, ChainFault::Gap { expected, .. } if expected == seq);
        prop_assert!(gap || fault == ChainFault::ContentChanged { seq }, "{:?}", fault);
    }

    #[test]
    fn any_changed_byte_of_a_stored_hash_is_found(
        records in prop::collection::vec(records(), 1..5), at in any::<prop::sample::Index>(), byte in 0_usize..32, flip in 1_u8..=255
    ) {
        let links = chain(records);
        let index = at.index(links.len());
        let seq = u64::try_from(index).unwrap() + 1;
        let mut previous = links.clone();
        previous[index].1[byte] ^= flip;
        prop_assert_eq!(verify(&previous), Err(ChainFault::BrokenLink { seq }));
        let mut hash = links;
        hash[index].2[byte] ^= flip;
        prop_assert_eq!(verify(&hash), Err(ChainFault::ContentChanged { seq }));
    }

    #[test]
    fn the_patch_applied_to_before_gives_after(before in objects(), after in objects()) {
        let (left, right, patch) = changes(&before, &after);
        let patch: json_patch::Patch = serde_json::from_value(patch).expect("a patch by RFC 6902");
        let mut patched = before.clone();
        json_patch::patch(&mut patched, &patch).expect("applies");
        prop_assert_eq!(&patched, &after);
        // Only what differs is kept: each member of the two sides has another value on the other side, or none.
        for (name, value) in left.as_object().unwrap() {
            prop_assert!(before[name] == *value && after.get(name) != Some(value));
        }
        for (name, value) in right.as_object().unwrap() {
            prop_assert!(after[name] == *value && before.get(name) != Some(value));
        }
    }

    #[test]
    fn a_replacement_of_anything_by_anything_applies(before in values(), after in values()) {
        let patch: json_patch::Patch = serde_json::from_value(changes(&before, &after).2).expect("a patch");
        let mut patched = before;
        json_patch::patch(&mut patched, &patch).expect("applies");
        prop_assert_eq!(patched, after);
    }
}

#[test]
fn members_are_sorted_by_utf_16_and_numbers_written_as_rfc_8785_says() {
    let value = json!({"\u{fb33}": 1.0, "😀": 1e21, "é": 0.000_001, "a": -0.0, "\r": 1e-7});
    let canonical = String::from_utf8(serde_jcs::to_vec(&value).unwrap()).unwrap();
    assert_eq!(canonical, "{\"\\r\":1e-7,\"a\":0,\"é\":0.000001,\"😀\":1e+21,\"\u{fb33}\":1}");
}

#[test]
fn the_hash_of_a_known_link_never_changes() {
    // Stored chains outlive a release.
    let hash = link_hash(&[0; 32], b"{}");
    assert_eq!(docket_domain::idempotency::hex(&hash), KNOWN);
}

const KNOWN: &str = "0dadbc20fed00e386afa20833b9ed8e0dc09b2dbdf11b9bb515e641590878b66";

#[test]
fn faults_say_where_the_chain_is_broken() {
    let says = |fault: ChainFault, sentence: &str| assert_eq!(fault.to_string(), sentence);
    says(ChainFault::Gap { expected: 2, found: 3 }, "record 2 is missing: found 3 in its place");
    says(ChainFault::BrokenLink { seq: 4 }, "record 4 does not follow from the record before it");
    says(ChainFault::ContentChanged { seq: 4 }, "record 4 was changed after it was written");
    says(ChainFault::Unreadable { seq: 4 }, "record 4 cannot be read");
    says(ChainFault::HeadMismatch { expected: 5, found: 4 }, "the chain ends at record 4, but the case says 5");
}

#[test]
fn a_record_that_has_no_canonical_form_is_told_apart_from_a_changed_one() {
    // RFC 3339 has no negative years, so such a time cannot be written.
    let links = chain(vec![minimal()]);
    let unreadable = AuditRecord { occurred_at: time::macros::datetime!(-0044-03-15 12:00 UTC), ..links[0].0.clone() };
    let fault = verify_link(&ChainHead::EMPTY, &unreadable, [0; 32], links[0].2);
    assert_eq!(fault, Err(ChainFault::Unreadable { seq: 1 }));
    assert!(ChainHead::EMPTY.append(&unreadable).is_err());
}

#[test]
fn a_doubled_record_is_a_gap() {
    let links = chain(vec![minimal(), minimal()]);
    assert_eq!(verify(&[links[0].clone(), links[0].clone()]), Err(ChainFault::Gap { expected: 2, found: 1 }));
    assert_eq!(verify(&links[1..]), Err(ChainFault::Gap { expected: 1, found: 2 }));
}

#[test]
fn a_checkpoint_names_its_predecessor_and_digests_heads_in_order() {
    let statement = CheckpointStatement {
        tenant_id: TenantId(Uuid::from_u128(1)),
        number: 2,
        heads: 3,
        heads_digest: [4; 32],
        previous: [5; 32],
        created_at: time::OffsetDateTime::UNIX_EPOCH + time::Duration::seconds(1),
    };
    let bytes = statement.to_bytes();
    assert!(bytes.starts_with(b"docket:checkpoint:v1"));
    assert_eq!(bytes.len(), 20 + 16 + 8 + 8 + 32 + 32 + 16);
    assert_eq!(bytes[116..], 1_000_000_i128.to_be_bytes(), "microseconds since 1970");
    assert_eq!(bytes[36..52], [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3]);
    let heads: Vec<_> = (1..4).map(|n| (Uuid::from_u128(n), ChainHead { seq: 1, hash: [0; 32] })).collect();
    let (digest, count) = digest_heads(heads.clone());
    assert_eq!(count, 3);
    assert_ne!(digest, digest_heads(heads.clone().into_iter().rev()).0);
    assert_ne!(digest, digest_heads(heads.into_iter().take(2)).0);
}

fn minimal() -> AuditRecord {
    AuditRecord {
        seq: 1,
        tenant_id: TenantId::PLATFORM,
        chain_id: Uuid::nil(),
        case_id: None,
        actor_id: PrincipalId::SYSTEM,
        actor_type: PrincipalKind::System,
        actor_roles: Roles::NONE,
        on_behalf_of: None,
        agent_run_id: None,
        action: "case.create".to_owned(),
        outcome: Outcome::Allowed,
        http_status: None,
        request_id: String::new(),
        trace_id: String::new(),
        idempotency_key_hash: None,
        reason: None,
        states: StateChange { from: None, to: None },
        case_version: None,
        guard_results: None,
        before: None,
        after: None,
        diff: None,
        occurred_at: OffsetDateTime::UNIX_EPOCH,
    }
}
