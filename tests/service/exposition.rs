//! Prometheus' text format, as far as a test needs it: the samples with their labels.

use std::collections::BTreeMap;

/// One line of /metrics without its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
}

/// Every sample of a page.
pub fn samples(page: &str) -> Vec<Sample> {
    page.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(sample).collect()
}

fn sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).unwrap();
    let (name, rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    let mut left = rest.strip_prefix('{').unwrap_or("}");
    while !left.starts_with('}') {
        let (label, value) = left.split_once("=\"").unwrap_or_else(|| panic!("no label in {line}"));
        let end = closing_quote(value).unwrap_or_else(|| panic!("no end of a label in {line}"));
        labels.insert(label.to_owned(), value[..end].to_owned());
        left = value[end + 1..].trim_start_matches(',');
    }
    Sample { name: name.to_owned(), labels }
}

/// Where a label's value ends: at the first quote that no backslash escapes.
fn closing_quote(value: &str) -> Option<usize> {
    let mut escaped = false;
    value.char_indices().find_map(|(place, character)| {
        let end = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        end.then_some(place)
    })
}
