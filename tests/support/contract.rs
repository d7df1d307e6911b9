//! The OpenAPI document as a promise: which answers an operation may give.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use docket::entrypoints::http::router;
use http::Method;
use serde_json::{Map, Value};

/// Every operation: its method, the parts of its path, and by status the media types of the answer.
static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    let document = serde_json::to_value(router::document()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |found| (path, found)));
    operations.map(|(path, (method, operation))| Operation::read(&document, path, method, operation)).collect()
});

struct Operation {
    method: Method,
    path: Vec<String>,
    answers: BTreeMap<u16, Vec<String>>,
}

impl Operation {
    fn read(document: &Value, path: &str, method: &str, operation: &Value) -> Self {
        let answers = operation["responses"].as_object().unwrap().iter().map(|(status, answer)| {
            let named = answer["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
            let answer = named.map_or(answer, |pointer| document.pointer(pointer).unwrap());
            let types = answer["content"].as_object().map(Map::keys).into_iter().flatten().cloned().collect();
            (status.parse().unwrap(), types)
        });
        let path = path.split('/').map(str::to_owned).collect();
        Self { method: method.to_uppercase().parse().unwrap(), path, answers: answers.collect() }
    }

    /// How many parts of the path are equal to the letter; none when the path is another.
    fn fits(&self, method: &Method, path: &[&str]) -> Option<usize> {
        if self.method != *method || self.path.len() != path.len() {
            return None;
        }
        let mut literal = 0;
        for (pattern, part) in self.path.iter().zip(path) {
            let same = pattern == part;
            if !same && (part.is_empty() || !pattern.starts_with('{')) {
                return None;
            }
            literal += usize::from(same);
        }
        Some(literal)
    }
}

/// What is wrong with an answer by the document: a status that the operation does not name, or a media type that this status
/// does not have. None as well for what the document does not describe: other methods, other paths.
pub fn breach(method: &Method, path: &str, status: u16, content_type: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').collect();
    let fitting = OPERATIONS.iter().filter_map(|one| Some((one.fits(method, &parts)?, one)));
    let (_, operation) = fitting.max_by_key(|(literal, _)| *literal)?;
    let name = || format!("{method} {}", operation.path.join("/"));
    let Some(types) = operation.answers.get(&status) else {
        return Some(format!("{} answered {status}, which its document does not know", name()));
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let known = types.is_empty() || types.iter().any(|known| known == essence || known == "*/*");
    (!known).then(|| format!("{} answered {status} as {essence:?}, its document knows {types:?}", name()))
}
