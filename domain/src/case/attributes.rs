//! The rules for a case's further fields: flat, named in one line, bounded. The API and bulk import both ask here.

use serde_json::{Map, Value};

use crate::{number, text};

/// Greatest size of all attributes together, in bytes of JSON.
pub const ATTRIBUTES_MAX_BYTES: usize = 16 * 1024;
/// Greatest number of attributes.
pub const ATTRIBUTES_MAX_MEMBERS: usize = 64;
/// Greatest length of an attribute's name, in characters.
pub const ATTRIBUTE_NAME_MAX: usize = 100;

/// What is wrong with the attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeMistake {
    /// The attribute; none when all of them together are meant.
    pub name: Option<String>,
    /// What was wrong and what is allowed.
    pub detail: String,
}

/// Everything that is wrong with these attributes; empty when they may be stored.
pub fn attribute_mistakes(members: &Map<String, Value>) -> Vec<AttributeMistake> {
    let whole = |detail| AttributeMistake { name: None, detail };
    if members.len() > ATTRIBUTES_MAX_MEMBERS {
        return vec![whole(format!("has {} members; at most {ATTRIBUTES_MAX_MEMBERS} are allowed", members.len()))];
    }
    let mut mistakes = Vec::new();
    let size: usize = members.iter().map(|(key, value)| key.len() + value.as_str().map_or(24, str::len) + 6).sum();
    if size > ATTRIBUTES_MAX_BYTES {
        mistakes.push(whole(format!("is larger than {ATTRIBUTES_MAX_BYTES} bytes of JSON")));
    }
    for (key, value) in members {
        let detail = if text::required_line(key, ATTRIBUTE_NAME_MAX).as_ref() != Ok(key) {
            "a name has 1 to 100 characters, no control characters and no outer spaces"
        } else if value.is_object() || value.is_array() {
            "must be a string, a number, a boolean or null: attributes are flat"
        } else if value.as_number().is_some_and(|value| !number::is_exact(value)) {
            number::EXACT_DETAIL
        } else if value.as_str().is_some_and(|text| text::prose(text, ATTRIBUTES_MAX_BYTES).is_err()) {
            "holds control characters"
        } else {
            continue;
        };
        mistakes.push(AttributeMistake { name: Some(key.clone()), detail: detail.to_owned() });
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_mistake_is_told_by_name_and_the_number_is_bounded() {
        let members = json!({"ok": 1, "deep": {"x": 1}, "bad\u{0}": 1, "bell": "\u{7}", "long": u64::MAX});
        let found = attribute_mistakes(members.as_object().expect("an object"));
        let mut names: Vec<_> = found.into_iter().filter_map(|mistake| mistake.name).collect();
        names.sort();
        assert_eq!(names, ["bad\u{0}", "bell", "deep", "long"]);
        let many: Map<String, Value> = (0..65).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(attribute_mistakes(&many).len(), 1);
        let large = Map::from_iter([("text".to_owned(), json!("x".repeat(ATTRIBUTES_MAX_BYTES)))]);
        assert_eq!(attribute_mistakes(&large).len(), 1);
    }
}
