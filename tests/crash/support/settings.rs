//! How long each battery runs: short by default, longer through environment variables, never beyond a limit for all.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::random::Random;

/// A number from the environment, or the short form's.
pub fn number(name: &str, short: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")),
        Err(_) => short,
    }
}

/// The rounds of a battery: as many as the variable says, but after the short form none begins once time is up.
pub fn rounds(name: &str, short: u64) -> impl Iterator<Item = u64> {
    let wanted = number(name, short);
    (0..wanted).take_while(move |round| may_begin(*round, short))
}

/// Whether the round of that number, counted from 0, may begin: those of the short form always may.
pub fn may_begin(round: u64, short: u64) -> bool {
    round < short || !time_is_up()
}

/// Whether `DOCKET_CRASH_MINUTES` have passed since the first battery of this process began; never, when it is not set.
pub fn time_is_up() -> bool {
    static END: OnceLock<Option<Instant>> = OnceLock::new();
    let end = END.get_or_init(|| {
        let minutes = number("DOCKET_CRASH_MINUTES", 0);
        (minutes > 0).then(|| Instant::now() + Duration::from_mins(minutes))
    });
    end.is_some_and(|end| Instant::now() >= end)
}

/// The seed: `DOCKET_CRASH_SEED`, or one from the clock. Printed at once, so that a battery that is stopped or hangs can be
/// repeated, too; every report prints it again.
pub fn seed(battery: &str) -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = number("DOCKET_CRASH_SEED", now.as_nanos().try_into().unwrap_or(1) % 1_000_000);
    println!("{battery} begins with seed {seed}");
    seed
}

/// The random stream of a battery.
pub fn random(seed: u64) -> Random {
    Random::new(seed)
}
