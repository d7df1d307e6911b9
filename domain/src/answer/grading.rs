//! Grading answers without a language model: the measures of an evaluation, by words alone, the same on every machine.
//!
//! Faithfulness, context precision and context recall are defined as by ragas (Es et al. 2023, "RAGAS: Automated Evaluation of
//! Retrieval Augmented Generation"); where ragas asks a language model whether a text follows from another, [`attributed`]
//! compares words and figures. It is strict with paraphrases and blind to negations: a lower bound rather than a judgment.

use std::collections::HashMap;

use super::support::ENOUGH;
use super::words::content_words;

/// Small numbers in words, as figures: "six hours" and "6 hours" say the same.
const FIGURES: &[(&str, &str)] = &[
    ("two", "2"),
    ("three", "3"),
    ("four", "4"),
    ("five", "5"),
    ("six", "6"),
    ("seven", "7"),
    ("eight", "8"),
    ("nine", "9"),
    ("ten", "10"),
    ("eleven", "11"),
    ("twelve", "12"),
    ("fifteen", "15"),
    ("twenty", "20"),
    ("thirty", "30"),
    ("forty", "40"),
    ("fifty", "50"),
    ("sixty", "60"),
    ("ninety", "90"),
];

/// The content words of a text with small numbers as figures.
pub fn graded_words(text: &str) -> Vec<String> {
    // Cutting endings makes "five" "fiv" nowhere else than here, so both forms are known.
    let figure = |word: String| {
        let known = FIGURES.iter().find(|(name, _)| *name == word || super::words::stem(name) == word);
        known.map_or(word, |(_, figure)| (*figure).to_owned())
    };
    content_words(text).into_iter().map(figure).collect()
}

/// The harmonic mean of precision and recall of an answer's words against the reference's, each word as often as it occurs
/// (Rajpurkar et al. 2016, `SQuAD`), over content words. From 0 to 1; 0 when either has none.
pub fn token_f1(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (graded_words(answer), graded_words(reference));
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in &reference {
        *left.entry(word).or_default() += 1;
    }
    let common = answer
        .iter()
        .filter(|word| left.get_mut(word.as_str()).filter(|count| **count > 0).map(|count| *count -= 1).is_some());
    let common = share(common.count(), 1);
    if common == 0.0 {
        return 0.0;
    }
    2.0 * common / (share(answer.len(), 1) + share(reference.len(), 1))
}

/// Whether a claim follows from one of the contexts: at least [`ENOUGH`] of its content words stand in it, and every figure
/// does. A claim without content claims nothing, and follows.
pub fn attributed(claim: &str, contexts: &[&str]) -> bool {
    let claimed = graded_words(claim);
    let is_figure = |word: &String| word.starts_with(|c: char| c.is_ascii_digit());
    claimed.is_empty()
        || contexts.iter().any(|context| {
            let words: std::collections::HashSet<String> = graded_words(context).into_iter().collect();
            let held = claimed.iter().filter(|word| words.contains(*word)).count();
            share(held, claimed.len()) >= ENOUGH
                && claimed.iter().filter(|word| is_figure(word)).all(|word| words.contains(word))
        })
}

/// The share of claims that follow from the contexts; none when nothing is claimed. Of an answer's claims this is ragas'
/// faithfulness, of a reference's claims its context recall.
pub fn attributed_share(claims: &[&str], contexts: &[&str]) -> Option<f64> {
    let attributed = claims.iter().filter(|claim| attributed(claim, contexts)).count();
    (!claims.is_empty()).then(|| share(attributed, claims.len()))
}

/// ragas' context precision: the mean of precision@k over the ranks k at which a relevant passage stands; 0 when none is.
pub fn context_precision(relevant: &[bool]) -> f64 {
    let (mut found, mut sum) = (0, 0.0);
    for (rank, _) in (1..).zip(relevant).filter(|(_, relevant)| **relevant) {
        found += 1;
        sum += share(found, rank);
    }
    if found == 0 { 0.0 } else { sum / share(found, 1) }
}

/// Whether a text holds a quote, word for word, whatever stands between the words: marks of Markdown, the borders of a table,
/// line breaks.
pub fn holds(text: &str, quote: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
    };
    let (text, quote) = (words(text), words(quote));
    !quote.is_empty() && text.windows(quote.len()).any(|window| *window == *quote)
}

#[allow(clippy::cast_precision_loss, reason = "words are counted in hundreds")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_f1_counts_each_word_once_and_knows_figures_in_words() {
        assert!((token_f1("Within 6 hours.", "six hours") - 0.8).abs() < 1e-9);
        assert!((token_f1("hours hours", "hours") - 2.0 / 3.0).abs() < 1e-9);
        assert!(token_f1("Penguins.", "six hours").abs() < 1e-9 && token_f1("", "six").abs() < 1e-9);
        assert!((token_f1("Five years", "5 years") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_claim_follows_only_with_its_words_and_its_figures() {
        let contexts = ["The operator confirms a serious incident in writing within 6 hours."];
        assert!(attributed("A serious incident is confirmed within six hours.", &contexts));
        assert!(!attributed("A serious incident is confirmed within 12 hours.", &contexts));
        assert!(!attributed("Ferries pay a fee for every berth.", &contexts));
        assert!(attributed("It is.", &contexts));
        assert_eq!(attributed_share(&["Within 6 hours.", "Within 7 hours."], &contexts), Some(0.5));
        assert_eq!(attributed_share(&[], &contexts), None);
    }

    #[test]
    fn context_precision_rewards_relevant_passages_that_stand_first() {
        assert!((context_precision(&[true, false, true]) - 5.0 / 6.0).abs() < 1e-9);
        assert!((context_precision(&[false, true]) - 0.5).abs() < 1e-9);
        assert!(context_precision(&[false, false]).abs() < 1e-9 && context_precision(&[]).abs() < 1e-9);
    }

    #[test]
    fn a_quote_is_held_whatever_marks_stand_between_its_words() {
        assert!(holds("| Class | **Fee** |\n| A | 300 crowns |", "A 300 crowns"));
        assert!(!holds("A costs 300 crowns", "A 300 crowns") && !holds("anything", " - "));
    }
}
