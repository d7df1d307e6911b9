//! The sections `limits` and `idempotency`: rates, page sizes and how long a key is remembered.

use std::num::NonZeroU32;

use crate::config::setting::{Rule, section};

section! {
    /// Rates per tenant and principal, and page sizes.
    Limits = "limits" {
        /// Requests a second of one tenant.
        tenant_requests_per_second: NonZeroU32 = "2000", Rule::Integer { min: 1, max: 1_000_000 };
        /// Requests of one tenant at once on top of a quiet moment.
        tenant_burst: NonZeroU32 = "4000", Rule::Integer { min: 1, max: 1_000_000 };
        /// Requests a second of one principal.
        principal_requests_per_second: NonZeroU32 = "500", Rule::Integer { min: 1, max: 1_000_000 };
        /// Requests of one principal at once on top of a quiet moment.
        principal_burst: NonZeroU32 = "1000", Rule::Integer { min: 1, max: 1_000_000 };
        /// Requests of one principal worked on at once, until the head of their answers; more are answered 429. Keep it well below
        /// `server.max_in_flight`, or one client can take every place.
        principal_in_flight: usize = "128", Rule::Integer { min: 1, max: 100_000 };
        /// Failed authentications a minute that one address may have; after them it is answered 429 for a minute.
        failed_logins_per_minute: NonZeroU32 = "10", Rule::Integer { min: 1, max: 10_000 };
        /// Items on a page when the client does not say.
        page_size_default: u32 = "25", Rule::Integer { min: 1, max: 1_000 };
        /// Items on a page at most; more is coerced to this.
        page_size_max: u32 = "200", Rule::Integer { min: 1, max: 1_000 };
    }
}

section! {
    /// How long an Idempotency-Key is remembered.
    Idempotency = "idempotency" {
        /// Hours after which a key counts as new.
        ttl_hours: u32 = "24", Rule::Integer { min: 1, max: 720 };
    }
}
