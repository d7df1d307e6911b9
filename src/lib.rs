//! docket: a regulatory case tracker that shows what production-grade means.
//!
//! Read the modules in this order; each sentence says what only that module knows.
//!
//! 1. [`config`]: every setting, its default, its range and where its value came from.
//! 2. [`application`]: the use cases, one per file, and the ports (traits) they need from the outside.
//! 3. [`adapters`]: the driven side, one folder per technology; only here live SQL, file stores and HTTP clients.
//! 4. [`entrypoints`]: the driving side: HTTP, command line and background services; parses, calls one use case, renders.
//! 5. [`telemetry`]: traces, metrics and logs; set up first, flushed last.
//! 6. [`bootstrap`]: the composition root, the only file that names both ports and adapters.
//!
//! [`faults`] breaks promises on purpose, in builds made for the batteries only.
//!
//! The rules of the domain itself (states, guards, deadlines, audit hashes) are the crate [`docket_domain`].
#![forbid(unsafe_code)]

pub mod adapters;
pub mod application;
pub mod bootstrap;
pub mod config;
pub mod entrypoints;
pub mod faults;
pub mod telemetry;
