//! Steps 3 and 11: one log line and one observation for every request, also for those whose client left.

use std::collections::HashMap;
use std::time::Instant;

use axum::extract::Request;
use http::{Method, StatusCode};
use metrics::{Gauge, Histogram};
use parking_lot::RwLock;

use super::{MatchedRoute, RequestContext};
use crate::telemetry::metrics::{HTTP_ACTIVE, HTTP_DURATION};

/// What nginx calls it when the client closed the connection before the answer.
const CLIENT_LEFT: u16 = 499;

/// Method, status and their histogram.
type Series = (&'static str, u16, Histogram);

/// The histogram of each (route, method, status), kept because looking one up in the recorder allocates its labels.
pub(super) struct Observations {
    active: Gauge,
    durations: RwLock<HashMap<Box<str>, Vec<Series>>>,
}

impl Default for Observations {
    fn default() -> Self {
        Self { active: metrics::gauge!(HTTP_ACTIVE), durations: RwLock::default() }
    }
}

impl Observations {
    fn observe(&self, route: &str, method: &'static str, status: u16, seconds: f64) {
        let find = |entries: &Vec<Series>| {
            entries.iter().find(|entry| entry.0 == method && entry.1 == status).map(|entry| entry.2.clone())
        };
        let known = self.durations.read().get(route).and_then(find);
        let histogram = known.unwrap_or_else(|| {
            let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_string())];
            let fresh = metrics::histogram!(HTTP_DURATION, &labels);
            self.durations.write().entry(route.into()).or_default().push((method, status, fresh.clone()));
            fresh
        });
        histogram.record(seconds);
    }
}

/// The standard methods by name; anything else is `_OTHER`, because clients may invent methods without end.
pub(super) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

/// A request being measured.
pub(super) struct Record<'a> {
    observations: &'a Observations,
    route: &'a MatchedRoute,
    context: &'a RequestContext,
    method: &'static str,
    path: String,
    began: Instant,
    status: u16,
}

impl<'a> Record<'a> {
    /// Begins to measure.
    pub(super) fn begin(
        observations: &'a Observations,
        request: &Request,
        route: &'a MatchedRoute,
        context: &'a RequestContext,
    ) -> Self {
        observations.active.increment(1.0);
        Self {
            observations,
            route,
            context,
            method: known_method(request.method()),
            // Without the query, which may hold what people search for.
            path: request.uri().path().to_owned(),
            began: context.started,
            status: CLIENT_LEFT,
        }
    }

    /// Ends with this status; a record that is dropped before ends with 499.
    pub(super) fn finish(mut self, status: StatusCode) {
        self.status = status.as_u16();
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let Self { route, method, status, path, .. } = self;
        let elapsed = self.began.elapsed();
        self.observations.active.decrement(1.0);
        self.observations.observe(route.as_str(), method, *status, elapsed.as_secs_f64());
        let (route, ms) = (route.as_str(), (elapsed.as_secs_f64() * 1e6).round() / 1e3);
        let (tenant, principal) = self
            .context
            .identity()
            .map_or((None, None), |who| (Some(who.tenant.as_str()), Some(who.principal.as_str())));
        if self.route.is_operational() {
            tracing::debug!(target: "docket::access", method, route, path, status, ms, "request");
        } else {
            tracing::info!(target: "docket::access", method, route, path, status, ms, tenant, principal, "request");
        }
    }
}
