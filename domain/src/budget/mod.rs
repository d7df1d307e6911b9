//! What models cost: tokens, prices and the arithmetic of a budget. Money is whole nano-dollars, so that sums are exact.

pub mod price;
pub mod tenant_budget;

pub use price::{NotAPrice, Price, PriceTable, Unpriced};
pub use tenant_budget::{BUDGET_MAX_NANOS, TenantBudget};

use serde::{Deserialize, Serialize};

/// Tokens of one or more calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Input tokens that were read anew.
    pub input_tokens: u64,
    /// Input tokens that the provider had cached.
    pub cache_read_tokens: u64,
    /// Input tokens that the provider put into its cache.
    pub cache_write_tokens: u64,
    /// Output tokens, including those that were not shown (reasoning).
    pub output_tokens: u64,
}

impl Usage {
    /// All tokens together.
    pub const fn total(self) -> u64 {
        self.input_tokens
            .saturating_add(self.cache_read_tokens)
            .saturating_add(self.cache_write_tokens)
            .saturating_add(self.output_tokens)
    }

    /// The sum of each count.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }

    /// The larger of each count. Providers report cumulatively and sometimes leave a count out of a later report, so no
    /// count ever goes down.
    #[must_use]
    pub fn at_least(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.max(other.input_tokens),
            cache_read_tokens: self.cache_read_tokens.max(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.max(other.cache_write_tokens),
            output_tokens: self.output_tokens.max(other.output_tokens),
        }
    }
}

/// Tokens of a text when no tokenizer of the provider is at hand: never fewer than a real one would count for prose.
///
/// Byte-pair encoders give about four bytes a token for English; three is taken so that a reservation covers it. At
/// least one token for text that is not empty.
pub const fn estimate_tokens(text: &str) -> u64 {
    (text.len() as u64).div_ceil(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_count_of_a_cumulative_report_goes_down() {
        let first = Usage { input_tokens: 10, output_tokens: 1, ..Usage::default() };
        let last = Usage { output_tokens: 7, cache_read_tokens: 4, ..Usage::default() };
        let both = first.at_least(last);
        assert_eq!(both, Usage { input_tokens: 10, output_tokens: 7, cache_read_tokens: 4, cache_write_tokens: 0 });
        assert_eq!(both.total(), 21);
        let sum = Usage { input_tokens: 10, output_tokens: 8, cache_read_tokens: 4, cache_write_tokens: 0 };
        assert_eq!(first.plus(last), sum);
    }

    #[test]
    fn an_estimate_rounds_up_and_empty_text_is_free() {
        assert_eq!((estimate_tokens(""), estimate_tokens("a"), estimate_tokens("four")), (0, 1, 2));
    }
}
