//! The HTTP API: router, extractors, middleware, one file per resource.

pub mod problem;
