//! Whole numbers that JSON carries without loss.
//!
//! Canonical JSON (RFC 8785) writes every number as a double, so integers beyond 2^53 - 1 become their neighbours: two bodies
//! that differ would have one fingerprint, and the audit trail would hold another number than the case. I-JSON (RFC 7493,
//! section 2.2) asks to send such integers as strings.

use std::ops::RangeInclusive;

use serde_json::{Number, Value};

use crate::pointer;

/// The greatest integer that every reader of JSON takes for itself, and no other: 2^53 - 1.
pub const EXACT_MAX: i64 = 9_007_199_254_740_991;

/// What to tell whoever sent another one.
pub const EXACT_DETAIL: &str = "an integer beyond ±9007199254740991 loses digits as a JSON number: send it as a string";

/// Doubles that are whole and would be read as integers of 64 bits if they were written without fraction and exponent: from
/// -2^63 to -2^53, and from 2^53 to 2^64. All doubles of this size are whole.
const READ_AS_INTEGERS: [RangeInclusive<f64>; 2] =
    [-9_223_372_036_854_775_808.0..=-9_007_199_254_740_992.0, 9_007_199_254_740_992.0..=18_446_744_073_709_551_616.0];

/// Whether JSON carries this number without loss. Numbers with a fraction or an exponent are doubles from the start; but the
/// canonical form and the database write whole ones without either, and what was read back would be an integer that is
/// refused here.
pub fn is_exact(number: &Number) -> bool {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(signed), ..) => signed.unsigned_abs() <= EXACT_MAX.unsigned_abs(),
        (None, Some(_), _) => false,
        (None, None, double) => {
            double.is_none_or(|double| READ_AS_INTEGERS.iter().all(|range| !range.contains(&double)))
        }
    }
}

/// The JSON Pointer (RFC 6901) of the first integer that loses digits.
pub fn first_inexact(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => (!is_exact(number)).then(String::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| below(&index.to_string(), item)),
        Value::Object(members) => members.iter().find_map(|(name, member)| below(name, member)),
        _ => None,
    }
}

fn below(name: &str, value: &Value) -> Option<String> {
    first_inexact(value).map(|rest| pointer::step(name) + &rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_integers_beyond_the_exact_range_are_named_and_the_first_of_them_by_its_pointer() {
        for fine in [json!(EXACT_MAX), json!(-EXACT_MAX), json!(1e300), json!(0.1), json!({"a": [null, true, "9"]})] {
            assert_eq!(first_inexact(&fine), None, "{fine}");
        }
        for lossy in [json!(EXACT_MAX + 1), json!(-EXACT_MAX - 1), json!(i64::MIN), json!(u64::MAX)] {
            assert_eq!(first_inexact(&lossy).as_deref(), Some(""), "{lossy}");
        }
        for whole in [json!(9_007_199_254_740_992.0), json!(-9.1e15), json!(1e16), json!(1.8e19), json!(-9.2e18)] {
            assert_eq!(first_inexact(&whole).as_deref(), Some(""), "{whole}");
        }
        for double in [json!(9_007_199_254_740_991.0), json!(1.9e19), json!(-9.3e18), json!(1e21), json!(4_503_599.5)] {
            assert_eq!(first_inexact(&double), None, "{double}");
        }
        let deep = json!({"a": [1, {"b/c~d": u64::MAX}]});
        assert_eq!(first_inexact(&deep).as_deref(), Some("/a/1/b~1c~0d"));
    }
}
