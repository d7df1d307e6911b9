//! Late interaction (Khattab and Zaharia 2020, ColBERT): each token of the question looks for the token that is most like it.

/// `MaxSim`: the mean over the question's tokens of the greatest dot product with a token of the passage. Vectors have length one and
/// stand one after the other, `dimensions` numbers each; the result is between -1 and 1, and 0 without tokens.
pub fn max_sim(question: &[f32], passage: &[f32], dimensions: usize) -> f64 {
    if dimensions == 0 || question.len() < dimensions || passage.len() < dimensions {
        return 0.0;
    }
    let (mut sum, mut tokens) = (0.0_f64, 0_u32);
    for token in question.chunks_exact(dimensions) {
        let most = passage.chunks_exact(dimensions).map(|other| dot(token, other)).fold(f32::NEG_INFINITY, f32::max);
        sum += f64::from(most);
        tokens += 1;
    }
    sum / f64::from(tokens)
}

/// The dot product, in eight sums side by side so that the compiler can use wide registers.
pub fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (left_rest, right_rest) = (left.chunks_exact(8).remainder(), right.chunks_exact(8).remainder());
    for (left, right) in left.chunks_exact(8).zip(right.chunks_exact(8)) {
        for (sum, (left, right)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += left * right;
        }
    }
    let rest: f32 = left_rest.iter().zip(right_rest).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_of_the_question_counts_its_best_match() {
        let question = [1.0, 0.0, 0.0, 1.0];
        let passage = [0.6, 0.8, 1.0, 0.0];
        assert!((max_sim(&question, &passage, 2) - 0.9).abs() < 1e-6);
        assert!(max_sim(&[], &passage, 2).abs() < f64::EPSILON);
    }

    #[test]
    fn the_dot_product_takes_every_number() {
        let left: Vec<f32> = (0_u8..19).map(f32::from).collect();
        let expected: f32 = left.iter().map(|value| value * value).sum();
        assert!((dot(&left, &left) - expected).abs() < 1e-3);
    }
}
