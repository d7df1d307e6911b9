//! Fusion: several ranked lists of the same things into one.

use std::collections::BTreeMap;

/// Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009): each list gives 1 / (k + rank), ranks from 1. Best first; equal
/// scores stand by descending key, as `trec_eval` breaks ties.
pub fn reciprocal_rank_fusion<K: Ord + Copy>(lists: &[&[(K, f64)]], k: f64) -> Vec<(K, f64)> {
    let mut scores = BTreeMap::new();
    for list in lists {
        for (rank, (key, _)) in (1_u32..).zip(list.iter()) {
            *scores.entry(*key).or_insert(0.0) += 1.0 / (k + f64::from(rank));
        }
    }
    best_first(scores)
}

/// The convex combination of scores (Bruch, Gai and Ingber 2023): each list's scores are stretched to 0..1 between its lowest and its
/// highest, then added with the list's weight; what a list does not hold has 0 there. Best first, ties by descending key.
pub fn convex_combination<K: Ord + Copy>(lists: &[(&[(K, f64)], f64)]) -> Vec<(K, f64)> {
    let mut scores = BTreeMap::new();
    for (list, weight) in lists {
        let lowest = list.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
        let highest = list.iter().map(|(_, score)| *score).fold(f64::NEG_INFINITY, f64::max);
        let width = highest - lowest;
        for (key, score) in *list {
            let share = if width > 0.0 { (score - lowest) / width } else { 1.0 };
            *scores.entry(*key).or_insert(0.0) += weight * share;
        }
    }
    best_first(scores)
}

/// Sorts by descending score, then by descending key.
pub fn best_first<K: Ord + Copy>(scores: BTreeMap<K, f64>) -> Vec<(K, f64)> {
    let mut ranked: Vec<(K, f64)> = scores.into_iter().collect();
    ranked.sort_by(|(left, left_score), (right, right_score)| right_score.total_cmp(left_score).then(right.cmp(left)));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_lists_hold_comes_first() {
        let keywords = [("a", 9.0), ("b", 8.0), ("c", 1.0)];
        let meanings = [("c", 0.9), ("b", 0.8)];
        let fused = reciprocal_rank_fusion(&[&keywords, &meanings], 60.0);
        assert_eq!(fused[0].0, "c");
        assert!((fused[0].1 - (1.0 / 63.0 + 1.0 / 61.0)).abs() < 1e-12);
        assert_eq!(fused[1].0, "b");
    }

    #[test]
    fn scores_are_stretched_between_lowest_and_highest() {
        let keywords = [("a", 10.0), ("b", 7.5), ("c", 5.0)];
        let meanings = [("b", 0.8), ("d", 0.2)];
        let fused = convex_combination(&[(&keywords, 0.5), (&meanings, 0.5)]);
        assert_eq!(fused, [("b", 0.75), ("a", 0.5), ("d", 0.0), ("c", 0.0)]);
    }

    #[test]
    fn a_list_of_equal_scores_counts_fully_and_an_empty_one_not_at_all() {
        assert_eq!(convex_combination(&[(&[("a", 3.0)], 0.5), (&[], 0.5)]), [("a", 0.5)]);
        assert!(reciprocal_rank_fusion::<u8>(&[&[]], 60.0).is_empty());
    }
}
