//! The names a request goes by: its id and its trace, put into the request's extensions by the middleware.

pub use crate::telemetry::RequestContext;
