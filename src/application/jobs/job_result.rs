//! What a job may leave behind: a result is bounded and checked before it travels to the database with others.
//!
//! Ends of jobs are written many at a time. A result that the database refuses would keep all of them from being written,
//! again and again; so a handler that returns garbage ends its own job alone.

use serde_json::Value;

/// The longest result that is kept, in bytes of compact JSON.
pub const RESULT_MAX: usize = 64 * 1024;
/// The deepest nesting of a result; readers of JSON commonly stop at 128.
pub const RESULT_DEPTH_MAX: usize = 64;

/// Gives the result back when it can be kept, and says what is wrong with it otherwise.
///
/// Refused are more than [`RESULT_MAX`] bytes, more than [`RESULT_DEPTH_MAX`] levels, and U+0000 in any text, which
/// `PostgreSQL` cannot show (its manual, section 8.14).
pub fn storable(result: Value) -> Result<Value, String> {
    match fault(&result) {
        None => Ok(result),
        Some(fault) => {
            discard(result);
            Err(format!("the handler returned a result that cannot be kept: {fault}"))
        }
    }
}

/// Drops a value of any depth; the usual way recurses and would end the process with its stack.
pub fn discard(value: Value) {
    let mut left = vec![value];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(items) => left.extend(items),
            Value::Object(members) => left.extend(members.into_iter().map(|(_, member)| member)),
            _ => {}
        }
    }
}

fn fault(result: &Value) -> Option<String> {
    let too_long = || format!("it is longer than {RESULT_MAX} bytes");
    let mut left = vec![(result, 1)];
    let mut seen = 0;
    while let Some((value, depth)) = left.pop() {
        // Every value is written with one byte at least.
        seen += 1;
        if seen > RESULT_MAX {
            return Some(too_long());
        }
        if depth > RESULT_DEPTH_MAX {
            return Some(format!("it is nested deeper than {RESULT_DEPTH_MAX} levels"));
        }
        let nul = match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(items) => {
                left.extend(items.iter().map(|item| (item, depth + 1)));
                false
            }
            Value::Object(members) => {
                left.extend(members.values().map(|member| (member, depth + 1)));
                members.keys().any(|name| name.contains('\0'))
            }
            _ => false,
        };
        if nul {
            return Some("a text in it has the character U+0000".to_owned());
        }
    }
    // Only now that it is known to be shallow: writing recurses.
    let mut room = Room(RESULT_MAX);
    serde_json::to_writer(&mut room, result).is_err().then(too_long)
}

/// Takes so many bytes and no more, and keeps none of them.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!(0), |inner, _| Value::Array(vec![inner]))
    }

    #[test]
    fn a_result_is_kept_up_to_its_bounds_and_not_beyond() {
        let text = |length: usize| json!("x".repeat(length));
        for fine in [json!(null), json!({"removed": 3}), text(RESULT_MAX - 2), nested(RESULT_DEPTH_MAX)] {
            assert_eq!(storable(fine.clone()), Ok(fine));
        }
        let cases = [
            (text(RESULT_MAX - 1), "longer"),
            (json!(vec![0; RESULT_MAX]), "longer"),
            (nested(RESULT_DEPTH_MAX + 1), "deeper"),
            (json!({"a": ["b\0"]}), "U+0000"),
            (json!({"a\0": 1}), "U+0000"),
        ];
        for (garbage, reason) in cases {
            assert!(storable(garbage).unwrap_err().contains(reason), "{reason}");
        }
    }

    #[test]
    fn a_result_as_deep_as_memory_is_refused_without_ending_the_process() {
        assert!(storable(nested(1_000_000)).unwrap_err().contains("deeper"));
    }
}
