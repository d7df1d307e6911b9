//! A long text in parts that fit a model's window.

use std::ops::Range;

/// Cuts `text` between words into parts of at most `limit` tokens, as `count` counts them for one word; gives byte ranges without
/// white space around them. A word that is longer than the limit is a part by itself. A text without words is one empty part.
pub fn windows<E>(
    text: &str,
    limit: usize,
    mut count: impl FnMut(&str) -> Result<usize, E>,
) -> Result<Vec<Range<usize>>, E> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut filled = 0;
    for word in text.split_whitespace() {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        let end = start + word.len();
        let tokens = count(word)?;
        match parts.last_mut() {
            Some(part) if filled + tokens <= limit => {
                part.end = end;
                filled += tokens;
            }
            _ => {
                parts.push(start..end);
                filled = tokens;
            }
        }
    }
    if parts.is_empty() {
        parts.push(0..0);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn cut(text: &str, limit: usize) -> Vec<&str> {
        let parts = windows(text, limit, |word| Ok::<_, Infallible>(word.chars().count())).unwrap_or_default();
        parts.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn parts_are_filled_word_by_word() {
        assert_eq!(cut("  aa bb  cc\nd ", 4), ["aa bb", "cc\nd"]);
        assert_eq!(cut("Überlang a", 3), ["Überlang", "a"]);
        assert_eq!(cut(" ", 3), [""]);
    }
}
