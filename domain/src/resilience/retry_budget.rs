//! A budget of retries: how much of what is sent to a destination may be sent again.
//!
//! Every call pays in a tenth of a retry, every retry takes a whole one, so that a destination in trouble gets a tenth more
//! than it was asked, not a multiple. After "Addressing Cascading Failures" in "Site Reliability Engineering" (Google,
//! 2016) and Finagle's `RetryBudget`.

/// What a call pays in, in thousandths of a retry.
const DEPOSIT: u32 = 100;
/// What a retry takes.
const RETRY: u32 = 1_000;
/// What there is at the beginning: calls that are rare may be tried again, too.
const INITIAL: u32 = 2 * RETRY;
/// What there is at most: a long calm does not pay for a storm.
const MOST: u32 = 10 * RETRY;

/// What is left of the budget of one destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryBudget {
    left: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: INITIAL }
    }
}

impl RetryBudget {
    /// A call is made for the first time.
    pub fn deposit(&mut self) {
        self.left = (self.left + DEPOSIT).min(MOST);
    }

    /// Whether a call may be made again; if so, it is paid for.
    pub fn withdraw(&mut self) -> bool {
        let paid = self.left >= RETRY;
        if paid {
            self.left -= RETRY;
        }
        paid
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn retries_never_exceed_a_tenth_of_the_calls_and_two(wanted in proptest::collection::vec(0_u8..4, 0..400)) {
            let (mut budget, mut calls, mut retries) = (RetryBudget::default(), 0_u32, 0_u32);
            for tries in wanted {
                budget.deposit();
                calls += 1;
                retries += (0..tries).map(|_| u32::from(budget.withdraw())).sum::<u32>();
                prop_assert!(f64::from(retries) <= f64::from(calls) / 10.0 + 2.0);
            }
        }
    }

    #[test]
    fn a_long_calm_saves_up_ten_retries_at_most() {
        let mut budget = RetryBudget::default();
        (0..10_000).for_each(|_| budget.deposit());
        assert_eq!((0..20).filter(|_| budget.withdraw()).count(), 10);
    }
}
