//! The section `enrichment`: the company register that is asked about respondents.

use std::num::NonZeroU32;

use secrecy::SecretString;

use crate::config::sections::{optional_secret, optional_text};
use crate::config::setting::{Rule, section};

section! {
    /// Enrichment: a company register is asked about the respondents of submitted cases. See docs/enrichment.md.
    Enrichment = "enrichment" {
        /// Base URL of the register, for instance <http://localhost:8085>. Empty: nobody is asked.
        #[serde(deserialize_with = "optional_text")]
        url: Option<String> = "\"\"", Rule::Url(&["http", "https"]);
        /// Token that the register wants to see, sent as a bearer token.
        #[serde(deserialize_with = "optional_secret")]
        token: Option<SecretString> = "\"\"", Rule::Secret;
        /// Questions at once of one process.
        concurrency: usize = "4", Rule::Integer { min: 1, max: 256 };
        /// Questions a second of one process.
        requests_per_second: NonZeroU32 = "10", Rule::Integer { min: 1, max: 10_000 };
        /// Time for a connection, in milliseconds.
        connect_timeout_ms: u64 = "2000", Rule::Integer { min: 10, max: 60_000 };
        /// Time for the whole exchange, in milliseconds.
        timeout_ms: u64 = "5000", Rule::Integer { min: 10, max: 60_000 };
        /// Tries of one question within a few seconds; afterwards its job waits.
        tries: u32 = "3", Rule::Integer { min: 1, max: 10 };
        /// Largest answer that is read, in bytes.
        max_answer_bytes: usize = "65536", Rule::Integer { min: 1_024, max: 16_777_216 };
    }
}
