//! The text that was read in a document, with its pages and headings. Offsets count Unicode code points, from 0.

use serde::{Deserialize, Serialize};

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
    /// Checks what a parser claims: pages and headings ascend and lie inside the text, and nothing that a database
    /// cannot keep is in it.
    pub fn check(&self) -> Result<(), Unsound> {
        let length = u32::try_from(self.text.chars().count()).map_err(|_| Unsound("the text is too long"))?;
        if self.text.contains('\0') {
            return Err(Unsound("the text holds NUL"));
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
        let mut path: Vec<&Heading> = Vec::new();
        for heading in self.headings.iter().take_while(|heading| heading.at <= at) {
            path.retain(|open| open.level < heading.level);
            path.push(heading);
        }
        path.into_iter().map(|heading| heading.text.clone()).collect()
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
        let broken: [fn(&mut Extracted); 6] = [
            |it| it.page_starts = vec![1],
            |it| it.page_starts = vec![0, 5, 4],
            |it| it.page_starts = vec![0, 11],
            |it| it.headings[1].at = 9,
            |it| it.headings[3].at = 11,
            |it| it.text.push('\0'),
        ];
        for damage in broken {
            let mut extracted = paged();
            damage(&mut extracted);
            assert!(extracted.check().is_err(), "{extracted:?}");
        }
    }
}
