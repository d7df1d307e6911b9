//! The message of an event: a `CloudEvents` envelope, signed as Standard Webhooks v1 asks.
//!
//! Signed is `id.timestamp.body` by HMAC-SHA256 under each live secret of the endpoint
//! (<https://github.com/standard-webhooks/standard-webhooks>, "Signature scheme").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use docket_domain::webhook::SECRET_PREFIX;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;

use crate::application::events::envelope::Envelope;
use crate::application::ports::webhook_sender::Message;
use crate::telemetry::SpanId;

/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// A secret as its owner sees it.
pub fn secret_text(secret: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(secret))
}

/// What a sealed secret is bound to: its endpoint.
pub fn bound_to(endpoint: docket_domain::ids::EndpointId) -> Vec<u8> {
    format!("docket webhook secret of {endpoint}").into_bytes()
}

/// The message of an event, to be sent at `now` under these secrets. `place` is the span that sends it.
pub fn message(
    url: &str,
    envelope: &Envelope,
    secrets: &[Vec<u8>],
    place: Option<SpanId>,
    now: OffsetDateTime,
) -> Result<Message, serde_json::Error> {
    let body = serde_json::to_string(envelope)?;
    let (id, timestamp) = (envelope.id.to_string(), now.unix_timestamp().to_string());
    let signatures: Vec<String> = secrets.iter().map(|secret| signature(secret, &id, &timestamp, &body)).collect();
    let mut headers = vec![
        ("content-type", "application/cloudevents+json; charset=utf-8".to_owned()),
        ("webhook-id", id),
        ("webhook-timestamp", timestamp),
        ("webhook-signature", signatures.join(" ")),
    ];
    if let Some(place) = place {
        headers.push(("traceparent", place.to_string()));
    }
    Ok(Message { url: url.to_owned(), headers, body })
}

/// `v1,` and the base64 of the HMAC.
fn signature(secret: &[u8], id: &str, timestamp: &str, body: &str) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    for part in [id, ".", timestamp, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification_s_example() {
        // https://www.standardwebhooks.com: the example of the reference libraries.
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let made = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", r#"{"test": 2432232314}"#);
        assert_eq!(made, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_shown_with_its_prefix() {
        assert_eq!(secret_text(&[0; 3]), "whsec_AAAA");
    }
}
