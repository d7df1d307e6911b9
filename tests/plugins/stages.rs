//! Plugins that cut, rerank and grade: what they give is used only when it has the form it must have.

use std::collections::BTreeMap;
use std::time::Duration;

use docket::application::evaluation::plugin_grader::{GraderError, PluginGrader};
use docket::application::knowledge::plugin_chunkers::{ChunkerError, PluginChunkers};
use docket::application::knowledge::plugin_reranker::{PluginReranker, RerankerError};
use docket::application::ports::plugins::PluginError;
use docket_domain::document::Chunking;

use crate::pool;

const TEXT: &str = "Über 24 Stunden.\n\nZwei 🦀 Zeilen\nund noch eine.";

#[tokio::test]
async fn a_plugin_cuts_a_text_and_its_spans_are_held_to_the_text() {
    let by_collection = BTreeMap::from([("acts".to_owned(), "lines".to_owned())]);
    let chunkers = PluginChunkers { plugins: pool(|_| {}), by_collection };
    assert_eq!((chunkers.of("acts"), chunkers.of("default")), (Some("lines"), None));
    let passages = chunkers.cut("lines", TEXT, Chunking::default()).await.unwrap();
    let texts: Vec<&str> = passages.iter().map(|passage| passage.text.as_str()).collect();
    assert_eq!(texts, ["Über 24 Stunden.", "Zwei 🦀 Zeilen", "und noch eine."]);
    for passage in &passages {
        let length = (passage.char_end - passage.char_start) as usize;
        let there: String = TEXT.chars().skip(passage.char_start as usize).take(length).collect();
        assert_eq!(there, passage.text);
    }
    let astray = chunkers.cut("astray", TEXT, Chunking::default()).await.unwrap_err();
    assert!(matches!(astray, ChunkerError::Spans(..)) && !astray.is_transient(), "{astray}");
    let missing = chunkers.cut("nobody", TEXT, Chunking::default()).await.unwrap_err();
    assert!(matches!(missing, ChunkerError::Plugin(_, PluginError::Missing(_))), "{missing}");
}

#[tokio::test]
async fn a_plugin_scores_each_passage_or_is_an_error() {
    let plugins = pool(|settings| settings.workers = 2);
    let reranker = |name: &str, deadline| PluginReranker { plugins: plugins.clone(), name: name.to_owned(), deadline };
    let passages = ["a fee".to_owned(), "a longer passage".to_owned()];
    let scores = reranker("length", Duration::from_mins(1)).score("fee", &passages).await.unwrap();
    assert_eq!(scores, [5.0, 16.0]);
    let short = reranker("short", Duration::from_mins(1)).score("fee", &passages).await.unwrap_err();
    assert!(matches!(short, RerankerError::Plugin(_, PluginError::Raised { .. })), "{short}");
    let slow = reranker("slow", Duration::from_millis(200)).score("fee", &passages).await.unwrap_err();
    assert!(matches!(slow, RerankerError::Plugin(_, PluginError::TimedOut(_) | PluginError::Overloaded)), "{slow}");
}

#[tokio::test]
async fn a_plugin_grades_between_nothing_and_full_marks_or_is_an_error() {
    let plugins = pool(|_| {});
    let grader = |name: &str| PluginGrader { plugins: plugins.clone(), name: name.to_owned() };
    let marks = grader("words").grade("How long?", "within 24 hours", &["Within 24 hours."]).await.unwrap();
    assert_eq!(marks.keys().map(String::as_str).collect::<Vec<_>>(), ["asked", "held"]);
    assert!((marks["held"] - 2.0 / 3.0).abs() < 1e-9 && (marks["asked"] - 1.0).abs() < 1e-9);
    let boastful = grader("boastful").grade("", "", &[]).await.unwrap_err();
    assert!(matches!(boastful, GraderError::Shape(..)), "{boastful}");
}
