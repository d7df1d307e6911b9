//! What a question asks for, apart from what only says of which thing.

use super::words::content_words;

/// Words that begin a clause about the noun before them.
const RELATIVE: &[&str] = &["that", "which", "who", "whose"];

/// The content words before the noun that a relative clause describes, in the question's first sentence: of "the result of the
/// test of the crane that earned the highest penalty" what says result and test. Empty without such a clause, and where fewer
/// than two words are left, which is too little to tell anything by.
///
/// A line that holds none of them is about the thing, and says nothing of what is asked of it.
pub(super) fn asked_of_it(question: &str) -> Vec<String> {
    let words: Vec<&str> = question.split_whitespace().collect();
    let ends = |word: &str| word.ends_with(|last: char| !last.is_alphanumeric());
    let sentence = words.iter().position(|word| ends(word)).map_or(words.len(), |at| at + 1);
    // From the third word on: "which" at the beginning asks.
    let Some(clause) = (2..sentence).find(|at| RELATIVE.contains(&words[*at].to_lowercase().as_str())) else {
        return Vec::new();
    };
    let before = content_words(&words[..clause - 1].join(" "));
    if before.len() < 2 { Vec::new() } else { before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_clause_and_its_noun_are_left_out() {
        assert_eq!(
            asked_of_it("What was the result of the laboratory test of the crane that fell in May?"),
            ["result", "laboratory", "test"]
        );
        assert!(asked_of_it("Which fee applies to a licence?").is_empty());
        assert!(asked_of_it("May a tug that is licensed elsewhere help?").is_empty());
        assert!(asked_of_it("A crane fell. What is due, and who decides that?").is_empty());
    }
}
