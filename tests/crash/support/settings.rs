//! How long each battery runs: short by default, longer through environment variables.

use super::random::Random;

/// A number from the environment, or the short form's.
pub fn number(name: &str, short: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")),
        Err(_) => short,
    }
}

/// The seed: `DOCKET_CRASH_SEED`, or one from the clock. Every report prints it.
pub fn seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    number("DOCKET_CRASH_SEED", now.as_nanos().try_into().unwrap_or(1) % 1_000_000)
}

/// The random stream of a battery.
pub fn random(seed: u64) -> Random {
    Random::new(seed)
}
