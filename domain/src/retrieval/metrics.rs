//! How good a ranking is: the measures of `trec_eval`, to the last digit.
//!
//! As there, passages are ordered by descending score in single precision, and equal scores by descending document id; a passage is
//! relevant when its grade is at least 1; questions without a relevant passage are left out by the caller.

use std::collections::BTreeMap;

/// The grade of each judged passage of a question.
pub type Judgments = BTreeMap<String, u32>;

/// Orders a run as `trec_eval` does, whatever order it came in: by descending score, then by descending key.
pub fn trec_order<K: Ord>(run: &mut [(K, f64)]) {
    #[allow(clippy::cast_possible_truncation, reason = "trec_eval keeps scores in single precision")]
    let single = |score: f64| score as f32;
    run.sort_by(|(left, left_score), (right, right_score)| {
        single(*right_score).total_cmp(&single(*left_score)).then_with(|| right.cmp(left))
    });
}

/// The measures of one question.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Measures {
    /// The share of the relevant passages among the first k (`recall_k`).
    pub recall: f64,
    /// One over the rank of the first relevant passage among the first k, or 0 (`recip_rank` of the run cut at k).
    pub reciprocal_rank: f64,
    /// Average precision over the first k, divided by all relevant passages (`map_cut_k`).
    pub average_precision: f64,
    /// Discounted gain over the first k against the best possible (`ndcg_cut_k`): gain is the grade, discount log2(rank + 1).
    pub ndcg: f64,
}

/// Measures the first `k` of a ranking of document ids.
pub fn measure<'a>(ranking: impl IntoIterator<Item = &'a str>, judgments: &Judgments, k: usize) -> Measures {
    let relevant = judgments.values().filter(|grade| **grade > 0).count();
    if relevant == 0 {
        return Measures::default();
    }
    let (mut found, mut first, mut precisions, mut gain) = (0.0, None, 0.0, 0.0);
    for (rank, id) in (1_u32..).zip(ranking.into_iter().take(k)) {
        let grade = judgments.get(id).copied().unwrap_or(0);
        if grade > 0 {
            found += 1.0;
            first.get_or_insert(rank);
            precisions += found / f64::from(rank);
            gain += discounted(grade, rank);
        }
    }
    let mut grades: Vec<u32> = judgments.values().copied().filter(|grade| *grade > 0).collect();
    grades.sort_unstable_by(|left, right| right.cmp(left));
    let ideal: f64 = (1_u32..).zip(grades).take(k).map(|(rank, grade)| discounted(grade, rank)).sum();
    #[allow(clippy::cast_precision_loss, reason = "nobody judges 2^52 passages")]
    let relevant = relevant as f64;
    Measures {
        recall: found / relevant,
        reciprocal_rank: first.map_or(0.0, |rank| 1.0 / f64::from(rank)),
        average_precision: precisions / relevant,
        ndcg: gain / ideal,
    }
}

fn discounted(grade: u32, rank: u32) -> f64 {
    f64::from(grade) / f64::from(rank + 1).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgments(pairs: &[(&str, u32)]) -> Judgments {
        pairs.iter().map(|(id, grade)| ((*id).to_owned(), *grade)).collect()
    }

    #[test]
    fn a_ranking_worked_by_hand() {
        let judged = judgments(&[("a", 2), ("b", 1), ("c", 0), ("d", 1)]);
        let measures = measure(["c", "a", "x", "b"], &judged, 3);
        assert!((measures.recall - 1.0 / 3.0).abs() < 1e-12);
        assert!((measures.reciprocal_rank - 0.5).abs() < 1e-12);
        assert!((measures.average_precision - 0.5 / 3.0).abs() < 1e-12);
        let ideal = 2.0 + 1.0 / 3.0_f64.log2() + 0.5;
        assert!((measures.ndcg - (2.0 / 3.0_f64.log2()) / ideal).abs() < 1e-12);
    }

    #[test]
    fn ties_stand_by_descending_id_also_when_they_differ_only_in_double_precision() {
        let mut run = vec![("a".to_owned(), 1.0), ("c".to_owned(), 1.0 - 1e-12), ("b".to_owned(), 2.0)];
        trec_order(&mut run);
        let order: Vec<&str> = run.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(order, ["b", "c", "a"]);
    }

    #[test]
    fn without_relevant_passages_everything_is_zero() {
        assert_eq!(measure(["a"], &judgments(&[("a", 0)]), 10), Measures::default());
    }
}
