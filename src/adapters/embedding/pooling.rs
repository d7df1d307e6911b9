//! From the vectors of the tokens to the vector of the text: mean pooling, then length one (Reimers and Gurevych 2019, Sentence-BERT).

/// The mean of `tokens` vectors of `width` numbers, scaled to length one.
pub(super) fn mean(values: &[f32], tokens: usize, width: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f32; width];
    for vector in values.chunks_exact(width).take(tokens) {
        for (total, value) in sum.iter_mut().zip(vector) {
            *total += value;
        }
    }
    // Scaling to length one swallows the division by the number of tokens.
    to_length_one(&mut sum);
    sum
}

/// The first `tokens` vectors, each scaled to length one.
pub(super) fn each(values: &[f32], tokens: usize, width: usize) -> Vec<f32> {
    let mut vectors = values[..(tokens * width).min(values.len())].to_vec();
    vectors.chunks_exact_mut(width).for_each(to_length_one);
    vectors
}

fn to_length_one(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
}
