//! Reading what a model says as a judge: one JSON object of the form it was asked for, or nothing.
//!
//! Nothing is guessed. A verdict that is missing, said twice, or neither true nor false makes the whole reply unreadable: what
//! cannot be read is reported as not judged and counts neither for nor against an answer.

use serde::Deserialize;

/// Questions that the judge makes of an answer: ragas' strictness.
pub const QUESTIONS: usize = 3;
/// Statements of an answer at most.
const STATEMENTS_MAX: usize = 100;
/// Characters of a statement or a question at most.
const TEXT_MAX: usize = 2_000;
/// Characters that are kept of a reason.
const REASON_MAX: usize = 300;

/// Why a reply cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it holds.
    pub holds: bool,
    /// Why, in the judge's words.
    pub reason: String,
}

/// Questions that an answer would answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Questions {
    /// Whether the answer commits itself to nothing.
    pub noncommittal: bool,
    /// The questions: [`QUESTIONS`] of a committed answer, no more of another.
    pub questions: Vec<String>,
}

/// Reads the statements of an answer, at least one.
pub fn statements(reply: &str) -> Result<Vec<String>, Unreadable> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reply {
        statements: Vec<String>,
    }
    let Reply { statements } = read(reply)?;
    if statements.is_empty() || statements.len() > STATEMENTS_MAX {
        return Err(Unreadable(format!("{} statements; 1 to {STATEMENTS_MAX} are allowed", statements.len())));
    }
    texts(statements)
}

/// Reads the questions made of an answer.
pub fn questions(reply: &str) -> Result<Questions, Unreadable> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reply {
        noncommittal: bool,
        questions: Vec<String>,
    }
    let Reply { noncommittal, questions } = read(reply)?;
    let number = questions.len();
    if number > QUESTIONS || (number < QUESTIONS && !noncommittal) {
        return Err(Unreadable(format!("{number} questions instead of {QUESTIONS}")));
    }
    Ok(Questions { noncommittal, questions: texts(questions)? })
}

/// Reads the verdicts on `count` numbered things: each number from 1 once, in whatever order.
pub fn verdicts(reply: &str, count: usize) -> Result<Vec<Verdict>, Unreadable> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reply {
        verdicts: Vec<Numbered>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Numbered {
        number: usize,
        reason: String,
        verdict: bool,
    }
    let Reply { verdicts } = read(reply)?;
    let mut found: Vec<Option<Verdict>> = vec![None; count];
    for Numbered { number, reason, verdict: holds } in verdicts {
        let place = number.checked_sub(1).and_then(|place| found.get_mut(place));
        let place = place.ok_or_else(|| Unreadable(format!("a verdict on number {number} of {count}")))?;
        let reason = reason.chars().take(REASON_MAX).collect();
        if place.replace(Verdict { holds, reason }).is_some() {
            return Err(Unreadable(format!("two verdicts on number {number}")));
        }
    }
    let judged = found.iter().flatten().count();
    let all: Option<Vec<Verdict>> = found.into_iter().collect();
    all.ok_or_else(|| Unreadable(format!("verdicts on {judged} of {count}")))
}

fn texts(texts: Vec<String>) -> Result<Vec<String>, Unreadable> {
    let sound = |text: &String| !text.trim().is_empty() && text.chars().count() <= TEXT_MAX;
    if texts.iter().all(sound) { Ok(texts) } else { Err(Unreadable("a text that is empty or too long".to_owned())) }
}

/// The whole reply as JSON. Many models put a fence of Markdown around it whatever they are told; nothing else is taken off.
fn read<'a, T: Deserialize<'a>>(reply: &'a str) -> Result<T, Unreadable> {
    let reply = reply.trim();
    let fenced = reply.strip_prefix("```").and_then(|inner| inner.strip_suffix("```"));
    let json = fenced.map_or(reply, |inner| inner.strip_prefix("json").unwrap_or(inner));
    serde_json::from_str(json).map_err(|error| Unreadable(error.to_string().chars().take(REASON_MAX).collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn held(reply: &str, count: usize) -> Option<Vec<bool>> {
        verdicts(reply, count).ok().map(|verdicts| verdicts.into_iter().map(|verdict| verdict.holds).collect())
    }

    const TWO: &str = r#"{"verdicts": [{"number": 2, "reason": "r", "verdict": false}, {"number": 1, "reason": "", "verdict": true}]}"#;

    #[test]
    fn verdicts_are_taken_by_their_numbers_with_or_without_a_fence() {
        assert_eq!(held(TWO, 2), Some(vec![true, false]));
        assert_eq!(held(&format!("\n```json\n{TWO}\n```\n"), 2), Some(vec![true, false]));
        assert_eq!(held(&format!("```{TWO}```"), 2), Some(vec![true, false]));
        assert_eq!(held(r#"{"verdicts": []}"#, 0), Some(vec![]));
    }

    #[test]
    fn what_is_not_exactly_the_form_is_no_verdict() {
        for wrong in [
            "",
            "true",
            "I cannot help with that.",
            r#"{"verdicts": [{"number": 1, "reason": "r", "verdict": true}]}"#,
            r#"{"verdicts": [{"number": 1, "reason": "r", "verdict": true}, {"number": 1, "reason": "r", "verdict": true}]}"#,
            r#"{"verdicts": [{"number": 1, "reason": "r", "verdict": true}, {"number": 3, "reason": "r", "verdict": true}]}"#,
            r#"{"verdicts": [{"number": 1, "reason": "r", "verdict": true}, {"number": 0, "reason": "r", "verdict": true}]}"#,
            r#"{"verdicts": [{"number": 1, "reason": "r", "verdict": "yes"}, {"number": 2, "reason": "r", "verdict": 1}]}"#,
            r#"{"verdicts": [{"number": 1, "verdict": true}, {"number": 2, "reason": "r", "verdict": true}]}"#,
            &format!("Here it is: {TWO}"),
            &format!("{TWO} {TWO}"),
            &TWO.replace("\"verdicts\"", "\"score\": 1, \"verdicts\""),
            &TWO[..TWO.len() - 10],
        ] {
            assert!(verdicts(wrong, 2).is_err(), "{wrong}");
        }
        assert!(verdicts(TWO, 3).is_err() && verdicts(TWO, 1).is_err());
    }

    #[test]
    fn an_answer_has_at_least_one_statement_and_a_committed_one_three_questions() {
        assert_eq!(statements(r#"{"statements": ["Six hours."]}"#), Ok(vec!["Six hours.".to_owned()]));
        for wrong in [r#"{"statements": []}"#, r#"{"statements": [" "]}"#, r#"{"statements": "Six hours."}"#, "[]"] {
            assert!(statements(wrong).is_err(), "{wrong}");
        }
        let made = |noncommittal: bool, number: usize| {
            questions(&json!({"noncommittal": noncommittal, "questions": vec!["How long?"; number]}).to_string())
        };
        assert!(made(false, 3).is_ok_and(|made| made.questions.len() == 3 && !made.noncommittal));
        assert!(made(true, 0).is_ok_and(|made| made.noncommittal) && made(true, 3).is_ok());
        assert!(made(false, 2).is_err() && made(false, 4).is_err() && made(true, 4).is_err());
        assert!(questions(r#"{"questions": ["a", "b", "c"]}"#).is_err(), "whether it commits itself is not guessed");
    }

    proptest! {
        #[test]
        fn every_verdict_that_is_written_is_read_as_it_was_meant(judged in proptest::collection::vec(any::<(bool, String)>(), 0..12), turn in 0_usize..12) {
            let mut written: Vec<_> = (1..)
                .zip(&judged)
                .map(|(number, (verdict, reason))| json!({"number": number, "reason": reason, "verdict": verdict}))
                .collect();
            let turn = turn % written.len().max(1);
            written.rotate_left(turn);
            let read = held(&json!({"verdicts": written}).to_string(), judged.len());
            prop_assert_eq!(read, Some(judged.iter().map(|(verdict, _)| *verdict).collect::<Vec<_>>()));
        }

        #[test]
        fn nonsense_is_never_a_verdict_and_never_a_panic(reply in "(\\{|\\}|\\[|\\]|\"|verdicts|number|verdict|reason|true|1|:|,| |```|json|é){0,30}", count in 1_usize..3) {
            if let Ok(verdicts) = verdicts(&reply, count) {
                prop_assert_eq!(verdicts.len(), count);
            }
            let _ = (statements(&reply), questions(&reply));
        }

        #[test]
        fn a_reply_that_breaks_off_is_not_read(at in 0_usize..120) {
            prop_assume!(at < TWO.len());
            prop_assert!(verdicts(&TWO[..at], 2).is_err());
        }
    }
}
