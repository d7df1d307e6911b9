//! How sure a figure is: bootstrap intervals and paired tests, from a seed, so that a report can be made again.

/// Pseudo-random numbers from a seed: `SplitMix64` (Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Starts at a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        // The upper half of a product is as even as a modulus and needs no division (Lemire 2019).
        let product = u128::from(self.next()) * bound as u128;
        usize::try_from(product >> 64).unwrap_or(0)
    }
}

/// The mean; 0 of nothing.
#[allow(clippy::cast_precision_loss, reason = "samples are counted in thousands")]
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// The interval that holds the mean with a probability of 95 %, by the percentile bootstrap (Efron 1979).
pub fn bootstrap_interval(values: &[f64], resamples: usize, seed: u64) -> (f64, f64) {
    if values.is_empty() || resamples == 0 {
        return (0.0, 0.0);
    }
    let mut numbers = SplitMix64::new(seed);
    let mut resample = || -> f64 {
        let drawn: Vec<f64> = (0..values.len()).map(|_| values[numbers.below(values.len())]).collect();
        mean(&drawn)
    };
    let mut means: Vec<f64> = (0..resamples).map(|_| resample()).collect();
    means.sort_by(f64::total_cmp);
    let at = |per_mille: usize| means[(means.len() * per_mille / 1_000).min(means.len() - 1)];
    (at(25), at(975))
}

/// The probability that two pipelines which are equally good would differ this much on these questions: the paired randomisation
/// test, two-sided (Smucker, Allan and Carterette 2007). Both slices hold the same questions in the same order.
pub fn paired_randomisation_test(left: &[f64], right: &[f64], permutations: usize, seed: u64) -> f64 {
    let differences: Vec<f64> = left.iter().zip(right).map(|(left, right)| left - right).collect();
    let observed = differences.iter().sum::<f64>().abs();
    let mut numbers = SplitMix64::new(seed);
    let as_extreme = (0..permutations).filter(|_| {
        let (mut sum, mut bits, mut left) = (0.0, 0_u64, 0_u8);
        for difference in &differences {
            if left == 0 {
                (bits, left) = (numbers.next(), 64);
            }
            sum += if bits & 1 == 0 { *difference } else { -*difference };
            bits >>= 1;
            left -= 1;
        }
        // A hair of tolerance, because the same numbers are added with other signs.
        sum.abs() >= observed - 1e-9
    });
    #[allow(clippy::cast_precision_loss, reason = "permutations are counted in thousands")]
    let share = (as_extreme.count() + 1) as f64 / (permutations + 1) as f64;
    share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_interval_around_the_mean() {
        let values: Vec<f64> = (0_u8..100).map(|n| f64::from(n % 10) / 10.0).collect();
        let interval = bootstrap_interval(&values, 1_000, 7);
        assert_eq!(interval, bootstrap_interval(&values, 1_000, 7));
        assert!(interval.0 < mean(&values) && mean(&values) < interval.1);
        assert!(interval.1 - interval.0 < 0.2, "{interval:?}");
    }

    #[test]
    fn equal_pipelines_do_not_differ_and_a_steady_gain_does() {
        let base: Vec<f64> = (0_u8..60).map(|n| f64::from(n % 7) / 7.0).collect();
        let better: Vec<f64> = base.iter().map(|value| value + 0.05).collect();
        assert!((paired_randomisation_test(&base, &base, 500, 1) - 1.0).abs() < f64::EPSILON);
        assert!(paired_randomisation_test(&base, &better, 2_000, 1) < 0.01);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut numbers = SplitMix64::new(3);
        assert!((0..1_000).all(|_| numbers.below(7) < 7));
        assert_eq!(numbers.below(0), 0);
    }
}
