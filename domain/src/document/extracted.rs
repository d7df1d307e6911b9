//! The text that was read in a document, with its pages and headings. Offsets count Unicode code points, from 0.

use serde::{Deserialize, Serialize};

/// The most headings of a document: a thousand pages with twenty each.
pub const HEADINGS_MAX: usize = 20_000;
/// The longest heading, in characters.
pub const HEADING_MAX: usize = 300;
/// The longest title, in characters.
pub const TITLE_MAX: usize = 500;
/// The longest name of a language, in characters (RFC 5646, section 4.4.1).
pub const LANGUAGE_MAX: usize = 35;

/// A heading and where it stands in the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// 1 for the outermost.
    pub level: u8,
    /// Where its line begins, in code points.
    pub at: u32,
    /// What it says.
    pub text: String,
}

/// What a parser read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extracted {
    /// All text, pages one after the other.
    pub text: String,
    /// Where each page begins, in code points, ascending; empty for formats without pages.
    #[serde(default)]
    pub page_starts: Vec<u32>,
    /// The headings in the order of the text.
    #[serde(default)]
    pub headings: Vec<Heading>,
    /// What the document calls itself.
    #[serde(default)]
    pub title: Option<String>,
    /// The language it says it is in (BCP 47).
    #[serde(default)]
    pub language: Option<String>,
}

/// A parser's answer contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the parser's answer is not sound: {0}")]
pub struct Unsound(&'static str);

impl Extracted {
    /// The same with title, language and headings cut to their greatest lengths.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        self.title.iter_mut().for_each(|title| shorten(title, TITLE_MAX));
        self.language.iter_mut().for_each(|language| shorten(language, LANGUAGE_MAX));
        self.headings.iter_mut().for_each(|heading| shorten(&mut heading.text, HEADING_MAX));
        self
    }

    /// Checks what a parser claims: pages and headings ascend and lie inside the text, there are no more than
    /// [`HEADINGS_MAX`] headings, nothing is too long, and nothing that a database cannot keep is in it.
    pub fn check(&self) -> Result<(), Unsound> {
        let length = u32::try_from(self.text.chars().count()).map_err(|_| Unsound("the text is too long"))?;
        let headings = self.headings.iter().map(|heading| (&heading.text, HEADING_MAX));
        let title = self.title.iter().map(|title| (title, TITLE_MAX));
        let words = title.chain(self.language.iter().map(|language| (language, LANGUAGE_MAX))).chain(headings);
        if self.text.contains('\0') || words.clone().any(|(text, _)| text.contains('\0')) {
            return Err(Unsound("the text, a heading, the title or the language holds NUL"));
        }
        if self.headings.len() > HEADINGS_MAX {
            return Err(Unsound("it has more than 20,000 headings"));
        }
        if words.clone().any(|(text, most)| end_of(text, most).is_some()) {
            return Err(Unsound("a heading, the title or the language is too long"));
        }
        let ascends = self.page_starts.windows(2).all(|pair| pair[0] <= pair[1]);
        let begins = self.page_starts.first().is_none_or(|first| *first == 0);
        if !ascends || !begins || self.page_starts.iter().any(|start| *start > length) {
            return Err(Unsound("the pages do not lie one after the other in the text"));
        }
        let headings = self.headings.windows(2).all(|pair| pair[0].at <= pair[1].at);
        let inside = |heading: &Heading| heading.at <= length && (1..=9).contains(&heading.level);
        if !headings || !self.headings.iter().all(inside) {
            return Err(Unsound("the headings do not follow one another in the text"));
        }
        Ok(())
    }

    /// The pages, from 1, on which the span from `start` to `end` (in code points) begins and ends.
    pub fn pages_of(&self, start: u32, end: u32) -> Option<(u32, u32)> {
        let page_at = |at: u32| {
            let page = self.page_starts.partition_point(|begins| *begins <= at);
            u32::try_from(page).ok().filter(|page| *page > 0)
        };
        let from = page_at(start)?;
        Some((from, page_at(end.saturating_sub(1).max(start))?))
    }

    /// The headings above a position, outermost first: each one closes those of its own and of deeper levels.
    pub fn headings_above(&self, at: u32) -> Vec<String> {
        self.heading_walk().above(at)
    }

    /// Goes through the headings once, for many positions one after the other.
    pub fn heading_walk(&self) -> HeadingWalk<'_> {
        HeadingWalk { headings: &self.headings, passed: 0, path: Vec::new() }
    }
}

/// A walk through the headings of a text, from its beginning to its end.
#[derive(Debug)]
pub struct HeadingWalk<'a> {
    headings: &'a [Heading],
    passed: usize,
    path: Vec<&'a Heading>,
}

impl HeadingWalk<'_> {
    /// The headings above a position, as [`Extracted::headings_above`] has them. Positions ascend: what the walk has passed
    /// stays passed.
    pub fn above(&mut self, at: u32) -> Vec<String> {
        while let Some(heading) = self.headings.get(self.passed).filter(|heading| heading.at <= at) {
            self.path.retain(|open| open.level < heading.level);
            self.path.push(heading);
            self.passed += 1;
        }
        self.path.iter().map(|heading| heading.text.clone()).collect()
    }
}

/// Where the text goes beyond so many characters, in bytes.
fn end_of(text: &str, most: usize) -> Option<usize> {
    // No text has more characters than bytes.
    (text.len() > most).then(|| text.char_indices().nth(most).map(|(at, _)| at)).flatten()
}

fn shorten(text: &mut String, most: usize) {
    if let Some(end) = end_of(text, most) {
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paged() -> Extracted {
        let heading = |level, at, text: &str| Heading { level, at, text: text.to_owned() };
        Extracted {
            text: "0123456789".to_owned(),
            page_starts: vec![0, 4, 4, 8],
            headings: vec![heading(1, 0, "A"), heading(2, 2, "B"), heading(3, 3, "C"), heading(2, 6, "D")],
            ..Extracted::default()
        }
    }

    #[test]
    fn a_span_lies_on_the_pages_of_its_first_and_last_character() {
        assert_eq!(paged().pages_of(0, 4), Some((1, 1)));
        assert_eq!(paged().pages_of(3, 5), Some((1, 3)));
        assert_eq!(paged().pages_of(8, 10), Some((4, 4)));
        assert_eq!(Extracted::default().pages_of(0, 1), None);
    }

    #[test]
    fn a_heading_closes_those_of_its_level_and_below() {
        assert_eq!(paged().headings_above(1), ["A"]);
        assert_eq!(paged().headings_above(5), ["A", "B", "C"]);
        assert_eq!(paged().headings_above(9), ["A", "D"]);
    }

    #[test]
    fn unsound_answers_are_found_out() {
        assert!(paged().check().is_ok());
        let broken: [fn(&mut Extracted); 13] = [
            |it| it.page_starts = vec![1],
            |it| it.page_starts = vec![0, 5, 4],
            |it| it.page_starts = vec![0, 11],
            |it| it.headings[1].at = 9,
            |it| it.headings[3].at = 11,
            |it| it.text.push('\0'),
            |it| it.title = Some("a\0b".to_owned()),
            |it| it.language = Some("\0".to_owned()),
            |it| it.headings[2].text.push('\0'),
            |it| it.title = Some("ü".repeat(TITLE_MAX + 1)),
            |it| it.language = Some("x".repeat(LANGUAGE_MAX + 1)),
            |it| it.headings[2].text = "ü".repeat(HEADING_MAX + 1),
            |it| it.headings = vec![it.headings[0].clone(); HEADINGS_MAX + 1],
        ];
        for damage in broken {
            let mut extracted = paged();
            damage(&mut extracted);
            assert!(extracted.check().is_err(), "{extracted:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let mut long = paged();
        long.title = Some("ü".repeat(TITLE_MAX + 7));
        long.language = Some("x".repeat(LANGUAGE_MAX));
        long.headings[0].text = "€".repeat(HEADING_MAX + 1);
        let cut = long.shortened();
        assert_eq!(cut.check(), Ok(()));
        assert_eq!(cut.title.unwrap_or_default(), "ü".repeat(TITLE_MAX));
        assert_eq!(cut.language.unwrap_or_default().len(), LANGUAGE_MAX);
        assert_eq!(cut.headings[0].text, "€".repeat(HEADING_MAX));
    }

    #[test]
    fn one_walk_finds_what_single_looks_find() {
        let text = paged();
        let mut walk = text.heading_walk();
        for at in [0, 0, 2, 3, 5, 6, 9, 9] {
            assert_eq!(walk.above(at), text.headings_above(at), "{at}");
        }
    }
}
