//! The price table: what a million tokens of a model cost. A model without a price is refused, not taken for free.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Usage;

/// Nano-dollars in a dollar.
pub const NANOS_PER_DOLLAR: u64 = 1_000_000_000;
const TOKENS_PER_PRICE: u128 = 1_000_000;

/// Nano-dollars for a million tokens of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Input read anew.
    pub input: u64,
    /// Input read from the provider's cache.
    pub cache_read: u64,
    /// Input written to it.
    pub cache_write: u64,
    /// Output.
    pub output: u64,
}

impl Price {
    /// Costs nothing: models that run on this machine.
    pub const FREE: Self = Self { input: 0, cache_read: 0, cache_write: 0, output: 0 };

    /// What the usage costs in nano-dollars, rounded up once for the whole call.
    pub fn cost(self, usage: Usage) -> u64 {
        let parts = [
            (self.input, usage.input_tokens),
            (self.cache_read, usage.cache_read_tokens),
            (self.cache_write, usage.cache_write_tokens),
            (self.output, usage.output_tokens),
        ];
        let sum: u128 = parts.iter().map(|(price, tokens)| u128::from(*price) * u128::from(*tokens)).sum();
        u64::try_from(sum.div_ceil(TOKENS_PER_PRICE)).unwrap_or(u64::MAX)
    }

    /// The most that a call can cost: all input at its dearest rate, all output used.
    pub fn cost_at_most(self, input_tokens: u64, output_tokens: u64) -> u64 {
        let dearest = self.input.max(self.cache_read).max(self.cache_write);
        Self { input: dearest, ..self }.cost(Usage { input_tokens, output_tokens, ..Usage::default() })
    }
}

/// A text is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a price is four amounts, input/cached read/cached write/output, in dollars for a million tokens, for example 3/0.30/3.75/15"
)]
pub struct NotAPrice;

impl FromStr for Price {
    type Err = NotAPrice;

    /// Reads `input/cache read/cache write/output` in dollars for a million tokens: nine digits after the point at most,
    /// a million dollars at most.
    fn from_str(text: &str) -> Result<Self, NotAPrice> {
        let amounts: Vec<u64> = text.split('/').map(nano_dollars).collect::<Option<_>>().ok_or(NotAPrice)?;
        let [input, cache_read, cache_write, output] = amounts[..] else { return Err(NotAPrice) };
        Ok(Self { input, cache_read, cache_write, output })
    }
}

fn nano_dollars(text: &str) -> Option<u64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let digits = |part: &str, most: usize| {
        (!part.is_empty() && part.len() <= most && part.bytes().all(|byte| byte.is_ascii_digit())).then_some(())
    };
    digits(whole, 7)?;
    digits(fraction, 9)?;
    let dollars: u64 = whole.parse().ok()?;
    let nanos: u64 = format!("{fraction:0<9}").parse().ok()?;
    (dollars <= 1_000_000).then_some(dollars * NANOS_PER_DOLLAR + nanos)
}

/// A model has no price, so a call to it cannot be charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the model `{0}` has no price; add it to the price table (models.prices) before it is used")]
pub struct Unpriced(pub String);

/// Prices by model name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PriceTable(BTreeMap<String, Price>);

impl PriceTable {
    /// A table of these prices.
    pub fn new(prices: impl IntoIterator<Item = (String, Price)>) -> Self {
        Self(prices.into_iter().collect())
    }

    /// The price of exactly this model.
    pub fn price(&self, model: &str) -> Result<Price, Unpriced> {
        self.0.get(model).copied().ok_or_else(|| Unpriced(model.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRICE: Price =
        Price { input: 3_000_000_000, cache_read: 300_000_000, cache_write: 3_750_000_000, output: 15_000_000_000 };

    #[test]
    fn a_call_costs_the_sum_of_its_parts_rounded_up_once() {
        let usage = Usage { input_tokens: 1_000, cache_read_tokens: 2_000, cache_write_tokens: 0, output_tokens: 500 };
        assert_eq!(PRICE.cost(usage), 3_000_000 + 600_000 + 7_500_000);
        let tiny = Price { input: 1, cache_read: 1, cache_write: 1, output: 1 };
        assert_eq!(tiny.cost(Usage { input_tokens: 1, output_tokens: 1, ..Usage::default() }), 1);
        assert_eq!(Price::FREE.cost(usage), 0);
    }

    #[test]
    fn a_model_without_a_price_is_refused() {
        let table = PriceTable::new([("known".to_owned(), Price::FREE)]);
        assert_eq!(table.price("known"), Ok(Price::FREE));
        assert_eq!(table.price("unknown"), Err(Unpriced("unknown".to_owned())));
    }

    #[test]
    fn a_price_is_read_exactly_or_not_at_all() {
        assert_eq!("3/0.30/3.75/15".parse(), Ok(PRICE));
        assert_eq!("0/0/0/0".parse(), Ok(Price::FREE));
        let tiny = "0.000000001/0/0/0".parse::<Price>().map(|price| price.input);
        assert_eq!(tiny, Ok(1));
        for text in [
            "",
            "3",
            "3/15",
            "3/0.3/3.75/15/1",
            "3/0.3/3.75/-1",
            "3/0.3/3.75/1e3",
            "1./0/0/0",
            "./0/0/0",
            "9999999/0/0/0",
        ] {
            assert_eq!(text.parse::<Price>(), Err(NotAPrice), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_reservation_covers_every_way_in_which_the_tokens_can_be_counted(
            input in 0_u64..1_000_000, read in 0_u64..1_000_000, write in 0_u64..1_000_000,
            output in 0_u64..100_000, unused in 0_u64..1_000,
        ) {
            let usage = Usage { input_tokens: input, cache_read_tokens: read, cache_write_tokens: write, output_tokens: output };
            prop_assert!(PRICE.cost(usage) <= PRICE.cost_at_most(input + read + write, output + unused));
        }
    }
}
