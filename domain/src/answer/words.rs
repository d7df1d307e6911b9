//! The words of a text that carry its content, in a form in which inflections meet.

/// Words that carry no content of their own.
pub const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "before", "being",
    "both", "but", "by", "can", "could", "did", "do", "does", "each", "for", "from", "had", "has", "have", "he", "her",
    "his", "how", "i", "if", "in", "into", "is", "it", "its", "may", "me", "might", "more", "most", "must", "my", "no",
    "not", "of", "on", "once", "one", "only", "or", "other", "our", "out", "over", "own", "shall", "she", "should",
    "so", "some", "such", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those",
    "through", "to", "under", "up", "us", "was", "we", "were", "what", "when", "where", "which", "while", "who",
    "whom", "whose", "why", "will", "with", "would", "you", "your",
];

/// The content words of `text` in order: lower case, without stop words, stemmed. Numbers keep their form, without the
/// commas that group thousands.
pub fn content_words(text: &str) -> Vec<String> {
    tokens(text).filter(|word| !STOP_WORDS.contains(&word.as_str())).map(|word| stem(&word)).collect()
}

/// The numbers of `text`, as `1500`, `2.5` or `14`.
pub fn numbers(text: &str) -> Vec<String> {
    tokens(text).filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).collect()
}

fn tokens(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | ',' | '\'' | '’')))
        .flat_map(|raw| {
            let word = raw.trim_matches(|c: char| !c.is_alphanumeric());
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                vec![word.replace(',', "").to_lowercase()]
            } else {
                let parts = word.split(['.', ',', '\'', '’']).filter(|part| !part.is_empty());
                parts.map(str::to_lowercase).filter(|part| part != "s").collect()
            }
        })
        .filter(|word| !word.is_empty())
}

/// Brings plural and singular, and the common verb endings, together.
///
/// The plural rules are those of Harman's S stemmer ("How effective is suffixing?", JASIS 42, 1991); `-ed` and `-ing` are cut
/// where at least four letters stay. It need not give words, only the same text for related ones.
pub fn stem(word: &str) -> String {
    if word.chars().any(|c| !c.is_ascii_alphabetic()) {
        return word.to_owned();
    }
    let singular = if word.ends_with("ies") && !word.ends_with("eies") && !word.ends_with("aies") && word.len() > 4 {
        format!("{}y", &word[..word.len() - 3])
    } else if word.ends_with("sses") || word.ends_with("ches") || word.ends_with("shes") || word.ends_with("xes") {
        word[..word.len() - 2].to_owned()
    } else if word.ends_with('s') && !word.ends_with("us") && !word.ends_with("ss") && word.len() > 3 {
        word[..word.len() - 1].to_owned()
    } else {
        word.to_owned()
    };
    let cut = ["ing", "ed", "e"].iter().find_map(|ending| {
        let rest = singular.strip_suffix(ending)?;
        (rest.len() >= 4).then(|| undouble(rest))
    });
    cut.unwrap_or(singular)
}

/// `submitt` and `submit` meet; `fall` keeps its letters.
fn undouble(word: &str) -> String {
    let bytes = word.as_bytes();
    let last = bytes[bytes.len() - 1];
    let doubled = bytes[bytes.len() - 2] == last && !matches!(last, b'l' | b's' | b'z' | b'e' | b'o');
    word[..word.len() - usize::from(doubled)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn related_words_meet_and_numbers_stay() {
        for (one, other) in [
            ("penalties", "penalty"),
            ("submitted", "submit"),
            ("reporting", "reports"),
            ("licence", "licences"),
            ("inspected", "inspecting"),
            ("breaches", "breach"),
            ("boxes", "box"),
            ("operate", "operated"),
        ] {
            assert_eq!(stem(one), stem(other), "{one} {other}");
        }
        assert_eq!(
            content_words("The operator's 12,500 leaks within 2.5 h (Art. 7)."),
            ["operator", "12500", "leak", "within", "2.5", "h", "art", "7"]
        );
        assert_eq!(numbers("pay 1,500 of 3.2 by 2026-01-05, not a1"), ["1500", "3.2", "2026", "01", "05"]);
    }

    #[test]
    fn short_words_are_left_alone() {
        for word in ["gas", "bus", "loss", "need", "ring", "use", "us"] {
            assert_eq!(stem(word), word);
        }
    }
}
