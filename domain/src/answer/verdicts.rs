//! ragas' measures from the verdicts of a judge, and how far two graders agree.
//!
//! The measures are those of ragas (Es et al. 2023, "RAGAS: Automated Evaluation of Retrieval Augmented Generation"). Who the
//! judge is does not matter here: a language model gives the verdicts, and this file does the arithmetic. Context precision is
//! [`super::grading::context_precision`] for every judge.

use crate::retrieval::statistics::mean;

/// The share of statements that hold; none when there is no statement. Of an answer's statements this is faithfulness, of a
/// reference's sentences context recall.
pub fn held_share(verdicts: &[bool]) -> Option<f64> {
    let held = verdicts.iter().filter(|held| **held).count();
    (!verdicts.is_empty()).then(|| ratio(held, verdicts.len()))
}

/// Answer relevancy: the mean likeness of the question with the questions that a judge made of the answer, from 0 to 1; 0 when
/// the answer commits itself to nothing. None when no question was made of an answer that does.
pub fn relevancy(likenesses: &[f64], noncommittal: bool) -> Option<f64> {
    if noncommittal {
        return Some(0.0);
    }
    (!likenesses.is_empty()).then(|| mean(likenesses).clamp(0.0, 1.0))
}

/// How two graders judged the same things, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreement {
    /// Both said that it holds.
    pub both: usize,
    /// Both said that it does not.
    pub neither: usize,
    /// Only the first said that it holds.
    pub only_first: usize,
    /// Only the second did.
    pub only_second: usize,
}

impl Agreement {
    /// Counts pairs of verdicts on the same things.
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counted = Self::default();
        for pair in pairs {
            match pair {
                (true, true) => counted.both += 1,
                (false, false) => counted.neither += 1,
                (true, false) => counted.only_first += 1,
                (false, true) => counted.only_second += 1,
            }
        }
        counted
    }

    /// Things that both judged.
    pub const fn judged(self) -> usize {
        self.both + self.neither + self.only_first + self.only_second
    }

    /// The share of equal verdicts; none without any.
    pub fn equal_share(self) -> Option<f64> {
        (self.judged() > 0).then(|| ratio(self.both + self.neither, self.judged()))
    }

    /// Cohen's kappa (1960): the share of equal verdicts beyond what two graders would reach by chance who say "holds" as
    /// often as these do. 1 is full agreement, 0 no better than chance. None where chance alone makes all verdicts equal.
    pub fn kappa(self) -> Option<f64> {
        let equal = self.equal_share()?;
        let first = ratio(self.both + self.only_first, self.judged());
        let second = ratio(self.both + self.only_second, self.judged());
        let by_chance = first * second + (1.0 - first) * (1.0 - second);
        (by_chance < 1.0).then(|| (equal - by_chance) / (1.0 - by_chance))
    }
}

/// Pearson's correlation of pairs of figures, from -1 to 1; none for fewer than two pairs, or where one side does not vary.
pub fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let (left, right): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    if pairs.len() < 2 || !varies(&left) || !varies(&right) {
        return None;
    }
    let (left_mean, right_mean) = (mean(&left), mean(&right));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        pairs.iter().map(|(one, other)| of(one - left_mean, other - right_mean)).sum()
    };
    let spread = (sum(&|one, _| one * one) * sum(&|_, other| other * other)).sqrt();
    (spread > 0.0).then(|| (sum(&|one, other| one * other) / spread).clamp(-1.0, 1.0))
}

fn varies(values: &[f64]) -> bool {
    values.iter().any(|value| (value - values[0]).abs() > 1e-12)
}

#[allow(clippy::cast_precision_loss, reason = "verdicts are counted in thousands")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::answer::grading::context_precision;

    fn near(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|left| (left - right).abs() < 1e-12)
    }

    #[test]
    fn faithfulness_and_recall_are_shares_of_what_holds() {
        assert!(near(held_share(&[true, false, true, true]), 0.75));
        assert!(near(held_share(&[false]), 0.0) && near(held_share(&[true]), 1.0));
        assert_eq!(held_share(&[]), None, "who states nothing is neither faithful nor not");
    }

    #[test]
    fn relevancy_is_the_mean_likeness_and_nothing_for_an_answer_that_commits_itself_to_nothing() {
        assert!(near(relevancy(&[0.9, 0.6, 0.3], false), 0.6));
        assert!(near(relevancy(&[0.9, 0.6, 0.3], true), 0.0) && near(relevancy(&[], true), 0.0));
        assert!(near(relevancy(&[-0.5, -0.1], false), 0.0) && near(relevancy(&[1.000_000_2], false), 1.0));
        assert_eq!(relevancy(&[], false), None);
    }

    #[test]
    fn context_precision_is_the_mean_of_precision_at_the_ranks_that_help() {
        // Relevant at ranks 3 and 4 of 5: (1/3 + 2/4) / 2.
        let verdicts = [false, false, true, true, false];
        assert!((context_precision(&verdicts) - 5.0 / 12.0).abs() < 1e-12);
    }

    #[test]
    fn kappa_takes_away_what_chance_gives() {
        // Cohen's table of 20, 5, 10, 15: equal .70, by chance .50 * .60 + .50 * .40 = .50, so .40.
        let table = Agreement { both: 20, only_first: 5, only_second: 10, neither: 15 };
        assert_eq!(table.judged(), 50);
        assert!(near(table.equal_share(), 0.7) && near(table.kappa(), 0.4));
        let opposite = Agreement::of([(true, false), (false, true)]);
        assert!(near(opposite.equal_share(), 0.0) && near(opposite.kappa(), -1.0));
        let constant = Agreement::of([(true, true), (true, true)]);
        assert_eq!((constant.equal_share(), constant.kappa()), (Some(1.0), None));
        let none = Agreement::of([]);
        assert_eq!((none.equal_share(), none.kappa()), (None, None));
    }

    #[test]
    fn the_correlation_is_pearsons() {
        // Deviations (-1, 0, 1) and (-1, 1, 0): 1 / sqrt(2 * 2).
        assert!(near(correlation(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)]), 0.5));
        assert!(near(correlation(&[(0.0, 1.0), (1.0, 0.0)]), -1.0));
        assert_eq!(correlation(&[(1.0, 0.2), (1.0, 0.9)]), None, "one side does not vary");
        assert_eq!((correlation(&[(1.0, 1.0)]), correlation(&[])), (None, None));
    }

    proptest! {
        #[test]
        fn every_measure_stays_within_its_bounds(
            pairs in proptest::collection::vec(any::<(bool, bool)>(), 0..20),
            figures in proptest::collection::vec((0.0..=1.0_f64, 0.0..=1.0_f64), 0..20),
            noncommittal: bool,
        ) {
            let verdicts: Vec<bool> = pairs.iter().map(|(first, _)| *first).collect();
            prop_assert!(held_share(&verdicts).is_none_or(|share| (0.0..=1.0).contains(&share)));
            let likenesses: Vec<f64> = figures.iter().map(|(likeness, _)| *likeness).collect();
            prop_assert!(relevancy(&likenesses, noncommittal).is_none_or(|figure| (0.0..=1.0).contains(&figure)));
            let counted = Agreement::of(pairs.iter().copied());
            let swapped = Agreement::of(pairs.iter().map(|(first, second)| (*second, *first)));
            prop_assert_eq!(counted.judged(), pairs.len());
            prop_assert_eq!(counted.equal_share(), swapped.equal_share());
            prop_assert!(counted.kappa().is_none_or(|kappa| (-1.0 - 1e-9..=1.0 + 1e-9).contains(&kappa)));
            prop_assert!(correlation(&figures).is_none_or(|figure| (-1.0..=1.0).contains(&figure)));
        }

        #[test]
        fn one_more_statement_that_holds_never_makes_an_answer_less_faithful(verdicts in proptest::collection::vec(any::<bool>(), 1..20)) {
            let more: Vec<bool> = verdicts.iter().copied().chain([true]).collect();
            prop_assert!(held_share(&more) >= held_share(&verdicts));
        }

        #[test]
        fn a_grader_agrees_with_itself(verdicts in proptest::collection::vec(any::<bool>(), 1..20)) {
            let counted = Agreement::of(verdicts.iter().map(|verdict| (*verdict, *verdict)));
            prop_assert_eq!(counted.equal_share(), Some(1.0));
            prop_assert!(counted.kappa().is_none_or(|kappa| (kappa - 1.0).abs() < 1e-9));
        }
    }
}
