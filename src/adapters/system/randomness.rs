//! The operating system's random numbers.

use crate::application::ports::Randomness;

/// [`Randomness`] from the thread's cryptographic generator, which the operating system seeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    #[allow(clippy::disallowed_methods, reason = "this is where the service's randomness comes from")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut rand::rng(), bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut first, mut second) = ([0; 32], [0; 32]);
        SystemRandomness.fill(&mut first);
        SystemRandomness.fill(&mut second);
        assert_ne!(first, second);
    }
}
