//! The pure rules of docket: no async, no I/O, no clock, no randomness. Every function here is a value in, a value out.
//!
//! Read in this order:
//!
//! 1. [`ids`]: the identifiers, one type each, so that a tenant can never be passed for a case.
//! 2. [`principal`]: who acts (roles, actors) and what an API key may be used for (scopes).
//! 3. [`text`]: bounded text, parsed once at the edge. [`number`]: integers that JSON carries without loss;
//!    [`pointer`]: places in JSON.
//! 4. [`calendar`]: working days. [`case`]: the case itself, its transition table, guards, deadlines, visibility and events.
//! 5. [`audit`]: the audit record, its canonical form and the hash chain that makes tampering evident.
//! 6. [`idempotency`]: keys and fingerprints of requests.
//! 7. [`tenancy`]: tenants, principals and API keys, and which roles and scopes may be granted.
//! 8. [`job`]: the life of a job, retries, leases, and how much of the queue a worker takes.
//! 9. [`outbox`]: handing events on: retries, breakers, lanes. [`webhook`]: endpoints and the addresses they may have.
//! 10. [`resilience`]: what keeps a destination in trouble from dragging others along: breakers, budgets of retries.
//! 11. [`budget`]: tokens, prices and what a call may cost. [`answer`]: sentences, support and citations of an answer.
//! 12. [`document`]: documents, what was read in them, and cutting that into passages.
//! 13. [`retrieval`]: fusing ranked lists, comparing vectors, and judging a ranking.
#![forbid(unsafe_code)]

pub mod answer;
pub mod audit;
pub mod budget;
pub mod calendar;
pub mod case;
pub mod document;
pub mod idempotency;
pub mod ids;
pub mod job;
pub mod number;
pub mod outbox;
pub mod pointer;
pub mod principal;
pub mod resilience;
pub mod retrieval;
pub mod tenancy;
pub mod text;
pub mod webhook;
