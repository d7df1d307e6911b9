//! Reading files through real workers: what parsers give becomes text with offsets, what they refuse a failure with a code.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use docket::adapters::python::PluginParser;
use docket::application::ports::DocumentParser;
use docket::application::ports::document_parser::{FileToParse, ParseError};
use docket_domain::document::FailureCode;

use crate::pool;

fn file(name: &str, media_type: &str, bytes: &[u8]) -> FileToParse {
    FileToParse { name: name.to_owned(), media_type: media_type.to_owned(), bytes: Bytes::copy_from_slice(bytes) }
}

#[tokio::test]
async fn files_become_text_with_headings_or_a_refusal_with_a_code() {
    let parser = PluginParser::new(pool(|_| {}), Duration::from_mins(1));
    let read = parser.parse(file("a.md", "text/markdown", "# Übung\n\ntext 🦀\n\n## Zwei\n".as_bytes())).await.unwrap();
    assert_eq!(read.title.as_deref(), Some("Übung"));
    let second = &read.headings[1];
    let rest: String = read.text.chars().skip(second.at as usize).collect();
    assert!(rest.starts_with("## Zwei"), "offsets count code points");
    let refused = async |media_type: &str, bytes: &[u8]| match parser.parse(file("x", media_type, bytes)).await {
        Err(ParseError::Refused(failure)) => failure.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("text/plain", b"  \n").await, FailureCode::Empty);
    assert_eq!(refused("application/pdf", b"%PDF-1.7\nbroken").await, FailureCode::Broken);
    assert_eq!(refused("video/mp4", b"....").await, FailureCode::Unsupported);
    assert!(parser.media_types().await.contains(&"application/pdf".to_owned()));
}

#[tokio::test]
async fn without_workers_the_parser_says_that_none_is_free() {
    let none = pool(|settings| settings.program = Some("/bin/false".into()));
    let parser = PluginParser::new(Arc::clone(&none) as _, Duration::from_mins(1));
    let error = parser.parse(file("a.txt", "text/plain", b"text")).await.unwrap_err();
    assert!(matches!(error, ParseError::Unavailable(_)), "{error}");
}
