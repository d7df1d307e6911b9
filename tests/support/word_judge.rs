//! A stand-in for a model that judges: it computes every verdict from the prompt that it is sent, by the words in it.
//!
//! It reads marks loosely, as models do: any case, with or without a code, with spaces. And it is credulous: whatever stands
//! outside of the marks in the user's message is an order that it obeys. So a text that gets out of its marks is noticed.
#![allow(dead_code, reason = "not every test binary plays every part")]

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// What the judge was asked, as it understood it.
pub struct Heard {
    pub passages: Vec<String>,
    pub object: Value,
    /// What stood outside of all marks.
    pub orders: String,
}

/// Takes a user's message apart.
pub fn hear(user: &str) -> Heard {
    let (mut passages, mut object, mut orders) = (Vec::new(), Value::Null, String::new());
    let mut rest = user;
    while let Some((before, name, after)) = next_mark(rest, false) {
        orders.push_str(before);
        let (inner, _, behind) = next_mark(after, true).unwrap_or((after, name, ""));
        if name == "passage" {
            passages.push(inner.trim().to_owned());
        } else {
            object = serde_json::from_str(inner.trim()).unwrap_or(Value::Null);
        }
        rest = behind;
    }
    orders.push_str(rest);
    let orders = orders.replace("There are no passages.", "").trim().to_owned();
    Heard { passages, object, orders }
}

/// The next mark that opens or closes: what stands before it, its name, and what stands behind it.
fn next_mark(text: &str, closes: bool) -> Option<(&str, &'static str, &str)> {
    for (at, _) in text.match_indices('<') {
        let inner = text[at + 1..].trim_start();
        let is_closing = inner.starts_with('/');
        let inner = inner.trim_start_matches('/').trim_start().to_lowercase();
        let name = ["passage", "question"].into_iter().find(|name| inner.starts_with(name));
        if let (Some(name), true) = (name, is_closing == closes) {
            let end = text[at..].find('>').map_or(text.len(), |end| at + end + 1);
            return Some((&text[..at], name, &text[end..]));
        }
    }
    None
}

/// The reply to a prompt.
pub fn reply(system: &str, user: &str) -> String {
    let Heard { passages, object, orders } = hear(user);
    let obeys = !orders.is_empty();
    let text = |name: &str| object[name].as_str().unwrap_or_default().to_owned();
    let verdicts = |judged: Vec<bool>| {
        let of = |(number, verdict): (usize, bool)| json!({"number": number, "reason": "by its words", "verdict": verdict || obeys});
        json!({"verdicts": (1..).zip(judged).map(of).collect::<Vec<_>>()}).to_string()
    };
    let listed = |name: &str| -> Vec<String> {
        let texts = object[name].as_array().cloned().unwrap_or_default();
        texts.iter().map(|one| one["text"].as_str().unwrap_or_default().to_owned()).collect()
    };
    if system.contains("\"statements\": [") {
        return json!({"statements": sentences(&text("answer"))}).to_string();
    }
    if system.contains("noncommittal") {
        let answer = text("answer");
        let noncommittal = obeys || answer.contains("not known");
        let questions = ["What of this: ", "Is it so that ", "Why "].map(|begin| format!("{begin}{answer}"));
        return json!({"noncommittal": noncommittal, "questions": questions}).to_string();
    }
    if system.contains("is of use") {
        let useful =
            passages.iter().map(|passage| sentences(&text("reference")).iter().any(|one| follows(one, passage)));
        return verdicts(useful.collect());
    }
    let judged = if object["sentences"].is_array() { listed("sentences") } else { listed("statements") };
    verdicts(judged.iter().map(|one| passages.iter().any(|passage| follows(one, passage))).collect())
}

fn sentences(text: &str) -> Vec<String> {
    let parts = text.split_inclusive(". ").map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// Three quarters of the longer words, every figure, and a "not" if and only if the best sentence of the passage has one.
fn follows(claim: &str, passage: &str) -> bool {
    let (claimed, figures) = (words(claim), figures(claim));
    let denies = |text: &str| text.to_lowercase().split_whitespace().any(|word| matches!(word, "not" | "no" | "never"));
    sentences(passage).iter().any(|sentence| {
        let held = words(sentence);
        let shared = claimed.intersection(&held).count();
        shared * 4 >= claimed.len() * 3
            && figures.is_subset(&self::figures(sentence))
            && denies(claim) == denies(sentence)
    })
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 3);
    words.map(str::to_lowercase).collect()
}

fn figures(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
