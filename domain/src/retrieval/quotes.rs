//! How good a ranking of passages is when quotes are judged, not passages: the quotes stay the same whatever way the texts were cut.

use super::metrics::Measures;

/// Measures the first `k` passages of a ranking, given the numbers (below `quotes`) of the quotes that each holds whole.
///
/// A quote counts once, at the first passage that holds it; one that was cut in two is held by neither part. Recall is the share of
/// the quotes that are held, the reciprocal rank that of the first passage that holds one. Average precision is the mean over the quotes of the
/// precision at the rank of each, where those passages count that hold a quote which none before them holds. nDCG is the mean over the
/// quotes of 1 / log2(rank + 1): it is 1 when the first passage holds all of them, for every way of cutting.
pub fn measure_quotes<H>(ranking: impl IntoIterator<Item = H>, quotes: usize, k: usize) -> Measures
where
    H: IntoIterator<Item = usize>,
{
    if quotes == 0 {
        return Measures::default();
    }
    let mut held = vec![false; quotes];
    let (mut found, mut useful, mut first, mut precisions, mut gain) = (0.0, 0.0, None, 0.0, 0.0);
    for (rank, holds) in (1_u32..).zip(ranking.into_iter().take(k)) {
        let mut fresh = 0.0;
        for quote in holds {
            if held.get_mut(quote).is_some_and(|known| !std::mem::replace(known, true)) {
                fresh += 1.0;
            }
        }
        if fresh > 0.0 {
            found += fresh;
            useful += 1.0;
            first.get_or_insert(rank);
            precisions += fresh * useful / f64::from(rank);
            gain += fresh / f64::from(rank + 1).log2();
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "quotes of a question are counted on one hand")]
    let all = quotes as f64;
    Measures {
        recall: found / all,
        reciprocal_rank: first.map_or(0.0, |rank| 1.0 / f64::from(rank)),
        average_precision: precisions / all,
        ndcg: gain / all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(ranking: &[&[usize]], quotes: usize, k: usize) -> Measures {
        measure_quotes(ranking.iter().map(|held| held.iter().copied()), quotes, k)
    }

    #[test]
    fn a_quote_counts_once_where_it_is_held_first() {
        let measures = measured(&[&[], &[0], &[0], &[1, 0]], 2, 10);
        assert!((measures.recall - 1.0).abs() < 1e-12);
        assert!((measures.reciprocal_rank - 0.5).abs() < 1e-12);
        // One useful passage of two at rank 2, two of four at rank 4; the repetition at rank 3 is of no use.
        assert!((measures.average_precision - 0.5).abs() < 1e-12);
        let gain = 1.0 / 3.0_f64.log2() + 1.0 / 5.0_f64.log2();
        assert!((2.0 * measures.ndcg - gain).abs() < 1e-12);
    }

    #[test]
    fn one_passage_that_holds_every_quote_first_is_the_best_there_is() {
        let best = Measures { recall: 1.0, reciprocal_rank: 1.0, average_precision: 1.0, ndcg: 1.0 };
        assert_eq!(measured(&[&[0, 1, 2]], 3, 10), best);
        assert!(measured(&[&[0], &[1], &[2]], 3, 10).ndcg < 1.0);
    }

    #[test]
    fn what_stands_behind_the_cut_or_was_cut_in_two_is_not_found() {
        assert!((measured(&[&[0], &[1]], 2, 1).recall - 0.5).abs() < 1e-12);
        assert_eq!(measured(&[&[], &[]], 1, 10), Measures::default());
        assert_eq!(measured(&[&[0]], 0, 10), Measures::default());
    }
}
