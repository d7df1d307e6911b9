//! Keys and fingerprints: what makes two requests the same.

use docket_domain::idempotency::{Fingerprint, IdempotencyKey, MalformedKey, RequestShape, hex};
use proptest::prelude::*;

type Parts = (String, String, Vec<String>, String, String, Vec<u8>);

fn parts() -> impl Strategy<Value = Parts> {
    let text = "[a-z/=\"]{0,6}";
    let pairs = prop::collection::vec("[a-c]{1,2}=[0-9é]{0,2}", 0..4);
    (text, text, pairs, text, text, prop::collection::vec(any::<u8>(), 0..6))
}

fn fingerprint(parts: &Parts) -> Fingerprint {
    let (method, path, pairs, content_type, if_match, body) = parts;
    let query = pairs.join("&");
    Fingerprint::of(&RequestShape { method, path, query: &query, content_type, if_match, body })
}

/// The parts with what does not count taken out: the order of the query's pairs.
fn normal(parts: &Parts) -> Parts {
    let mut parts = parts.clone();
    parts.2.sort();
    parts
}

proptest! {
    #[test]
    fn two_requests_have_one_fingerprint_exactly_when_they_are_the_same(left in parts(), right in parts()) {
        prop_assert_eq!(normal(&left) == normal(&right), fingerprint(&left) == fingerprint(&right));
    }

    #[test]
    fn the_order_of_the_querys_pairs_does_not_count(parts in parts(), turn in 0_usize..4) {
        let mut turned = parts.clone();
        let by = turn.min(turned.2.len());
        turned.2.rotate_left(by);
        prop_assert_eq!(fingerprint(&parts), fingerprint(&turned));
    }

    #[test]
    fn a_byte_moved_between_two_parts_counts(parts in parts()) {
        let mut moved = parts.clone();
        if let Some(last) = moved.3.pop() {
            moved.4.insert(0, last);
            prop_assert_ne!(fingerprint(&parts), fingerprint(&moved));
        }
    }

    #[test]
    fn a_key_is_accepted_exactly_when_it_is_visible_ascii_of_the_right_length(
        value in prop::collection::vec(prop_oneof![9 => 0x21_u8..0x7f, 1 => any::<u8>()], 0..300)
    ) {
        let quoted = value.len() >= 2 && value.first() == Some(&b'"') && value.last() == Some(&b'"');
        let bare = if quoted { &value[1..value.len() - 1] } else { &value[..] };
        let fits = (1..=255).contains(&bare.len()) && bare.iter().all(|byte| (0x21..=0x7e).contains(byte));
        match IdempotencyKey::parse(&value) {
            Ok(key) => prop_assert!(fits && key.as_str().as_bytes() == bare),
            Err(MalformedKey) => prop_assert!(!fits),
        }
    }

    #[test]
    fn hexadecimal_is_two_lower_case_digits_a_byte(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let text = hex(&bytes);
        prop_assert_eq!(text.len(), bytes.len() * 2);
        prop_assert!(text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
        let read = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
        prop_assert_eq!((0..bytes.len()).map(read).collect::<Vec<_>>(), bytes);
    }
}

#[test]
fn the_fingerprint_of_a_known_request_never_changes() {
    // Stored fingerprints outlive a release: a different value here would turn honest retries into `key reused`.
    let shape = RequestShape {
        method: "POST",
        path: "/v1/cases",
        query: "&b=2&&a=1",
        content_type: "application/json",
        if_match: "\"v1\"",
        body: b"{}",
    };
    let bare = RequestShape { query: "a=1&b=2", ..shape };
    assert_eq!(Fingerprint::of(&shape), Fingerprint::of(&bare), "empty pairs do not count");
    assert_eq!(hex(&Fingerprint::of(&shape).0), KNOWN);
}

const KNOWN: &str = "e4338df9c8bdad871f0931229c24579eaa156a16042fef8c71d7883d3f55603f";

#[test]
fn a_quoted_key_and_the_bare_key_are_the_same_key() {
    let key = |text: &str| IdempotencyKey::parse(text.as_bytes());
    assert_eq!(key("\"a\""), key("a"));
    assert_eq!(key("\"\"a\"\"").unwrap().as_str(), "\"a\"", "one pair of quotes is taken off");
    assert_eq!(key("\"").unwrap().as_str(), "\"", "a single quotation mark is no pair");
    assert_eq!(key(&format!("\"{}\"", "k".repeat(255))).unwrap().as_str().len(), 255);
    assert_eq!(MalformedKey.to_string(), "an Idempotency-Key is 1 to 255 visible ASCII characters");
}
