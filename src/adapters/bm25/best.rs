//! The best of many scores, without sorting them all.

use std::cmp::Ordering;

use tantivy::DocId;

/// Where a passage stands: its segment, and its number there.
type Place = (usize, DocId);

/// Keeps the best scores that it is given. Equal scores stand in the order in which they came.
pub(super) struct Best {
    limit: usize,
    kept: Vec<(f32, Place)>,
    threshold: f32,
}

fn better_first(left: &(f32, Place), right: &(f32, Place)) -> Ordering {
    right.0.total_cmp(&left.0).then(left.1.cmp(&right.1))
}

impl Best {
    /// Keeps `limit` scores above zero; `limit` is at least one.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Vec::new(), threshold: 0.0 }
    }

    /// A score that is not above this one is not among the best.
    pub(super) fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Takes a score. Places come in ascending order.
    pub(super) fn push(&mut self, score: f32, place: Place) {
        self.kept.push((score, place));
        // Twice as many as wanted, so that the worse half goes at once: a constant cost for each that comes.
        if self.kept.len() >= 2 * self.limit {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.kept.len() > self.limit {
            let (_, last, _) = self.kept.select_nth_unstable_by(self.limit - 1, better_first);
            self.threshold = last.0;
            self.kept.truncate(self.limit);
        }
    }

    /// The best, best first.
    pub(super) fn in_order(mut self) -> Vec<(f32, Place)> {
        self.cut();
        self.kept.sort_unstable_by(better_first);
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_those_of_a_whole_sort_and_the_earlier_of_equals() {
        let scores: Vec<(f32, Place)> = (0_u16..1_000).map(|at| (f32::from(at * 37 % 101), (0, at.into()))).collect();
        let mut sorted = scores.clone();
        sorted.sort_by(better_first);
        for limit in [1, 7, 200, 2_000] {
            let mut best = Best::new(limit);
            for (score, place) in &scores {
                if *score > best.threshold() {
                    best.push(*score, *place);
                }
            }
            let positive = sorted.iter().filter(|(score, _)| *score > 0.0).take(limit);
            assert_eq!(best.in_order(), positive.copied().collect::<Vec<_>>());
        }
    }
}
