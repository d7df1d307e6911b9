//! What holds for every way of cutting a text, for any text.

use docket_domain::document::chunking::given::passages_of_spans;
use docket_domain::document::chunking::tokens::Tokens;
use docket_domain::document::{Chunking, ChunkingStrategy, Extracted, Heading, Passage};
use proptest::prelude::*;

fn prose() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => "[a-zA-Zäß日é]{1,12}",
        1 => "[a-z]{30,80}",
        2 => Just("U.S.C.".to_owned()),
        2 => Just("end.".to_owned()),
        1 => Just("- ".to_owned()),
        1 => Just("🦀🏽".to_owned()),
        1 => "\\PC{0,4}",
    ];
    let space = prop_oneof![
        6 => Just(" "),
        2 => Just("\n"),
        1 => Just("\n\n"),
        1 => Just("\r\n \t\u{a0}"),
        1 => Just(""),
    ];
    prop::collection::vec((word, space), 0..300).prop_map(|words| words.into_iter().map(|(a, b)| a + b).collect())
}

/// Any characters at all, and what chunkers look for, put together wrongly.
fn anything() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "# ",
        "\n",
        "\n\n",
        "\r",
        "\t",
        "\u{b}",
        "\u{85}",
        "\u{2028}",
        "\u{a0}",
        "- ",
        "12. ",
        "(a) ",
        "| ",
        ". ",
        "! ",
        "?\"",
        "e\u{301}",
        "👩‍👩‍👧",
        "\u{200b}",
        "\u{202e}",
        "\u{feff}",
        "\u{0}",
        "Art. 5",
        "U.S.C.",
    ];
    let piece = prop_oneof![
        2 => any::<String>(),
        4 => prop::sample::select(PIECES).prop_map(str::to_owned),
        1 => ("[ -~]{1,3}", 1_usize..300).prop_map(|(text, times)| text.repeat(times)),
        2 => "[a-z]{1,9}( [a-z]{1,9}){0,30}[.!?]? ?",
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn chunking() -> impl Strategy<Value = Chunking> {
    let tokens = prop_oneof![Just(ChunkingStrategy::Recursive), Just(ChunkingStrategy::FixedTokens)];
    prop_oneof![
        (tokens, 16_u32..80, 0_u32..=8).prop_map(|(strategy, size, overlap)| (strategy, size, overlap)),
        (1_u32..8).prop_flat_map(|size| (Just(ChunkingStrategy::SentenceWindow), Just(size), 0..size)),
    ]
    .prop_map(|(strategy, size, overlap)| Chunking::new(strategy, size, overlap).unwrap())
}

/// Three hundred texts, or as many more as `PROPTEST_CASES` asks for.
fn cases() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: asked.cases.max(300), ..asked }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn passages_are_spans_of_the_text_that_ascend_and_leave_nothing_out(
        text in prose(), chunking in chunking(), places in prop::collection::vec(0_u32..2_000, 0..8)
    ) {
        let extracted = with_headings(&text, places);
        extracted.check().unwrap();
        cuts_as_it_must(&extracted, chunking)?;
    }

    #[test]
    fn no_text_makes_a_chunker_panic_or_write_more_than_its_overlap_allows(
        text in anything(), chunking in chunking(), places in prop::collection::vec(any::<u32>(), 0..8)
    ) {
        let passages = cuts_as_it_must(&with_headings(&text, places), chunking)?;
        let written: usize = passages.iter().map(|passage| passage.text.len()).sum();
        let times = if chunking.strategy == ChunkingStrategy::SentenceWindow { chunking.size as usize } else { 3 };
        prop_assert!(written <= times * text.len(), "{written} bytes of {}", text.len());
        // What one chunker gives is what a plugin may give.
        let spans: Vec<(u32, u32)> = passages.iter().map(|passage| (passage.char_start, passage.char_end)).collect();
        prop_assert_eq!(passages_of_spans(&text, &spans), Ok(passages));
    }

    #[test]
    fn whatever_spans_a_plugin_gives_they_are_refused_or_stand_in_the_text(
        text in anything(), spans in prop::collection::vec((0_u32..60, 0_u32..60), 0..6), huge in any::<(u32, u32)>()
    ) {
        let length = u32::try_from(text.chars().count()).unwrap();
        let whole = vec![(0, length)];
        for spans in [spans.clone(), [spans.clone(), vec![huge]].concat(), [spans, whole].concat()] {
            for passage in passages_of_spans(&text, &spans).unwrap_or_default() {
                let there = text.chars().skip(passage.char_start as usize).take((passage.char_end - passage.char_start) as usize);
                prop_assert_eq!(there.collect::<String>(), passage.text);
            }
        }
    }
}

/// A text with headings at these places.
fn with_headings(text: &str, places: Vec<u32>) -> Extracted {
    let length = u32::try_from(text.chars().count()).unwrap();
    let mut places: Vec<u32> = places.into_iter().map(|place| place % (length + 1)).collect();
    places.sort_unstable();
    let heading = |at| Heading { level: 2, at, text: String::new() };
    let headings = places.into_iter().map(heading).collect();
    Extracted { text: text.to_owned(), headings, ..Extracted::default() }
}

/// Cuts a text, and checks what holds for every way of cutting.
fn cuts_as_it_must(extracted: &Extracted, chunking: Chunking) -> Result<Vec<Passage>, TestCaseError> {
    let characters: Vec<char> = extracted.text.chars().collect();
    let passages = chunking.cut(extracted);
    let mut covered = vec![false; characters.len()];
    let mut last = (0, 0);
    for passage in &passages {
        let span = passage.char_start as usize..passage.char_end as usize;
        let there: String = characters[span.clone()].iter().collect();
        prop_assert_eq!(&there, &passage.text);
        prop_assert!(!passage.text.is_empty() && passage.text.trim() == passage.text);
        prop_assert!(passage.char_start >= last.0 && passage.char_end > last.1, "{:?} after {:?}", span, last);
        last = (passage.char_start, passage.char_end);
        covered[span].fill(true);
        prop_assert_eq!(passage.token_count, Tokens::of(&passage.text).weight(0..passage.text.len()));
        if chunking.strategy != ChunkingStrategy::SentenceWindow {
            prop_assert!(passage.token_count <= chunking.size, "{} tokens", passage.token_count);
        }
    }
    for (at, character) in characters.iter().enumerate() {
        prop_assert!(covered[at] || character.is_whitespace(), "{character:?} at {at} is in no passage");
    }
    Ok(passages)
}

#[test]
fn sizes_out_of_range_are_refused() {
    for (strategy, size, overlap) in [
        (ChunkingStrategy::Recursive, 15, 0),
        (ChunkingStrategy::Recursive, 1_001, 0),
        (ChunkingStrategy::FixedTokens, 100, 51),
        (ChunkingStrategy::SentenceWindow, 0, 0),
        (ChunkingStrategy::SentenceWindow, 5, 5),
        (ChunkingStrategy::SentenceWindow, 51, 0),
    ] {
        assert!(Chunking::new(strategy, size, overlap).is_err(), "{strategy} {size} {overlap}");
    }
    for strategy in ChunkingStrategy::ALL {
        let usual = Chunking::usual(*strategy);
        assert_eq!(Chunking::new(usual.strategy, usual.size, usual.overlap), Ok(usual));
    }
}

#[test]
fn sections_stay_apart_and_a_lone_heading_goes_with_the_next() {
    let body = "Agencies shall remediate each vulnerability within the timeline set forth in the catalog. ".repeat(6);
    let text = format!("# Directive\n\n## Required actions\n\n{body}\n\n## Reporting\n\n{body}");
    let place = |needle: &str| u32::try_from(text.find(needle).unwrap()).unwrap();
    let heading = |level, at, text: &str| Heading { level, at, text: text.to_owned() };
    let headings = vec![
        heading(1, 0, "Directive"),
        heading(2, place("## Required"), "Required actions"),
        heading(2, place("## Reporting"), "Reporting"),
    ];
    let extracted = Extracted { text: text.clone(), headings, ..Extracted::default() };
    let passages = Chunking::default().cut(&extracted);
    assert_eq!(passages.len(), 2, "{passages:#?}");
    assert!(passages[0].text.starts_with("# Directive\n\n## Required actions"));
    assert!(passages[1].text.starts_with("## Reporting"));
    assert_eq!(extracted.headings_above(passages[1].char_start), ["Directive", "Reporting"]);
}

#[test]
fn fixed_windows_share_their_overlap() {
    let text = (0..100).map(|number| format!("w{number} ")).collect::<Vec<_>>().concat();
    let extracted = Extracted { text, ..Extracted::default() };
    let passages = Chunking::new(ChunkingStrategy::FixedTokens, 20, 5).unwrap().cut(&extracted);
    assert!(passages[0].text.ends_with("w19") && passages[1].text.starts_with("w15 "), "{passages:#?}");
    assert!(passages.last().unwrap().text.ends_with("w99"));
}
