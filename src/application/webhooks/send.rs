//! Sending to an endpoint: open its secrets, sign, post, and say what the answer means.

use std::sync::Arc;

use docket_domain::outbox::Failure;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use url::Url;

use super::message::{bound_to, message};
use crate::application::events::envelope::Envelope;
use crate::application::events::relay::outcome_word;
use crate::application::ports::relay_store::EndpointTarget;
use crate::application::ports::webhook_sender::Receipt;
use crate::application::ports::{Clock, SecretSealer, WebhookSender};
use crate::telemetry::{SpanId, adopt, link_batch, mark_failed};

/// The parts that sending needs.
#[derive(Clone)]
pub struct Sending {
    /// Posts.
    pub sender: Arc<dyn WebhookSender>,
    /// Opens secrets.
    pub sealer: Arc<dyn SecretSealer>,
    /// The time in the signature.
    pub clock: Arc<dyn Clock>,
}

/// What an answer means: none for "taken", and whether the receiver is in trouble (its breaker counts that).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meaning {
    /// The failure.
    pub failure: Option<Failure>,
    /// A server error: the receiver is there and counts the attempt, but is better left alone for a while.
    pub trouble: bool,
}

impl Sending {
    /// Sends one event to one endpoint.
    pub async fn send(&self, target: &EndpointTarget, envelope: &Envelope) -> Receipt {
        let parent = envelope.traceparent.as_deref().and_then(SpanId::parse);
        let span = tracing::info_span!(
            "POST webhook",
            otel.kind = "client",
            messaging.message.id = %envelope.id,
            messaging.destination.name = %target.id,
            http.request.method = "POST",
            server.address = Empty,
            server.port = Empty,
            url.full = Empty,
            http.response.status_code = Empty,
            docket.delivery.outcome = Empty,
        );
        record_address(&span, &target.url);
        link_batch(&span);
        let place = adopt(&span, parent);
        let secrets: Result<Vec<_>, _> =
            target.secrets.iter().map(|sealed| self.sealer.open(sealed, &bound_to(target.id))).collect();
        let unsent = |detail: String| Receipt {
            status: None,
            retry_after: None,
            detail: Some(detail),
            took: std::time::Duration::ZERO,
        };
        let secrets = match secrets {
            Ok(secrets) => secrets,
            Err(error) => return unsent(error.to_string()),
        };
        let message = match message(&target.url, envelope, &secrets, Some(place), self.clock.now()) {
            Ok(message) => message,
            Err(error) => return unsent(error.to_string()),
        };
        let receipt = self.sender.send(&message).instrument(span.clone()).await;
        if let Some(status) = receipt.status {
            span.record("http.response.status_code", status);
        }
        let failure = meaning(&receipt).failure;
        let outcome = outcome_word(failure);
        span.record("docket.delivery.outcome", outcome);
        if failure.is_some() {
            mark_failed(&span, receipt.status.map_or_else(|| outcome.to_owned(), |status| status.to_string()));
        }
        receipt
    }
}

/// Where it goes, as the conventions for HTTP clients ask. Paths and queries of endpoints may be secrets and are left out.
fn record_address(span: &Span, url: &str) {
    let Ok(url) = Url::parse(url) else { return };
    if let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) {
        span.record("server.address", host);
        span.record("server.port", port);
        span.record("url.full", format!("{}://{host}:{port}/REDACTED", url.scheme()));
    }
}

/// What the answer means for the event (Standard Webhooks, "Operational considerations").
pub fn meaning(receipt: &Receipt) -> Meaning {
    let retry_after = receipt.retry_after.and_then(|wait| time::Duration::try_from(wait).ok());
    let failure = match receipt.status {
        Some(200..=299) => None,
        Some(410) => Some(Failure::Gone),
        None | Some(429 | 502 | 503 | 504) => Some(Failure::Outage { retry_after }),
        Some(_) => Some(Failure::Rejected { retry_after }),
    };
    Meaning { failure, trouble: matches!(receipt.status, Some(500..=599)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_taken_refused_or_a_sign_of_trouble() {
        let of =
            |status| meaning(&Receipt { status, retry_after: None, detail: None, took: std::time::Duration::ZERO });
        for taken in [200, 201, 204, 299] {
            assert_eq!(of(Some(taken)), Meaning { failure: None, trouble: false });
        }
        let rejected = Some(Failure::Rejected { retry_after: None });
        for refused in [301, 302, 307, 308, 400, 401, 404, 422] {
            assert_eq!(of(Some(refused)), Meaning { failure: rejected, trouble: false });
        }
        assert_eq!(of(Some(500)), Meaning { failure: rejected, trouble: true });
        assert_eq!(of(Some(410)).failure, Some(Failure::Gone));
        for outage in [None, Some(429), Some(502), Some(503), Some(504)] {
            assert_eq!(of(outage).failure, Some(Failure::Outage { retry_after: None }), "{outage:?}");
        }
    }
}
