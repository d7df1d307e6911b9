//! Maximal marginal relevance (Carbonell and Goldstein 1998): of passages that say the same, the first is enough.

/// Picks `take` of the candidates, one after the other, each time the one with the highest
/// `lambda * relevance - (1 - lambda) * (greatest likeness to what was picked)`. `relevance` stands best first, so with `lambda` 1 the
/// order stays. `likeness(i, j)` is between -1 and 1, as relevance should be. Gives places in `relevance`.
pub fn maximal_marginal_relevance(
    relevance: &[f64],
    likeness: impl Fn(usize, usize) -> f64,
    lambda: f64,
    take: usize,
) -> Vec<usize> {
    let mut left: Vec<usize> = (0..relevance.len()).collect();
    // The greatest likeness of each candidate to anything picked so far.
    let mut nearest: Vec<Option<f64>> = vec![None; relevance.len()];
    let mut picked = Vec::with_capacity(take.min(left.len()));
    while picked.len() < take {
        let value =
            |candidate: usize| lambda * relevance[candidate] - (1.0 - lambda) * nearest[candidate].unwrap_or(0.0);
        let best = left.iter().enumerate().max_by(|(left_place, left), (right_place, right)| {
            // Of equals the one that stood first.
            value(**left).total_cmp(&value(**right)).then(right_place.cmp(left_place))
        });
        let Some((place, &candidate)) = best else { break };
        left.remove(place);
        picked.push(candidate);
        for &other in &left {
            let like = likeness(candidate, other);
            nearest[other] = Some(nearest[other].map_or(like, |known| known.max(like)));
        }
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 and 1 say the same, 2 says something else.
    fn likeness(left: usize, right: usize) -> f64 {
        if left.max(right) < 2 { 0.99 } else { 0.1 }
    }

    #[test]
    fn a_repetition_gives_way_to_something_else() {
        let relevance = [0.9, 0.89, 0.6];
        assert_eq!(maximal_marginal_relevance(&relevance, likeness, 0.5, 2), [0, 2]);
        assert_eq!(maximal_marginal_relevance(&relevance, likeness, 1.0, 3), [0, 1, 2]);
    }

    #[test]
    fn it_gives_no_more_than_there_is() {
        assert_eq!(maximal_marginal_relevance(&[0.5], likeness, 0.5, 9), [0]);
        assert!(maximal_marginal_relevance(&[], likeness, 0.5, 9).is_empty());
    }
}
