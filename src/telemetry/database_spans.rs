//! Completes the spans of statements on their way out: which database was asked, and where. It is the same for all of them, so the
//! thread of the exporter writes it, not the request.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use url::Url;

/// The port that is not named (semantic conventions for PostgreSQL).
const USUAL_PORT: u16 = 5432;
/// The embedded server's database, which is reached through a socket in the file system.
const EMBEDDED: &str = "docket";

/// `db.namespace`, `server.address` and `server.port` of `database.url`; for the embedded server, which has no address, the first.
pub(super) fn destination(database_url: Option<&str>) -> Vec<KeyValue> {
    let Some(url) = database_url.and_then(|url| Url::parse(url).ok()) else {
        return vec![KeyValue::new("db.namespace", EMBEDDED)];
    };
    // Without a name the client takes the user's (libpq, "dbname").
    let name = match url.path().trim_start_matches('/') {
        "" => url.username(),
        name => name,
    };
    let mut attributes = vec![KeyValue::new("db.namespace", name.to_owned())];
    if let Some(host) = url.host_str().filter(|host| !host.is_empty()) {
        attributes.push(KeyValue::new("server.address", host.to_owned()));
        if let Some(port) = url.port().filter(|port| *port != USUAL_PORT) {
            attributes.push(KeyValue::new("server.port", i64::from(port)));
        }
    }
    attributes
}

/// An exporter that adds `destination` to every span of a statement.
#[derive(Debug)]
pub(super) struct WithDestination<E> {
    pub(super) inner: E,
    pub(super) destination: Vec<KeyValue>,
}

impl<E: SpanExporter> SpanExporter for WithDestination<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            if span.attributes.iter().any(|attribute| attribute.key.as_str() == "db.system.name") {
                span.attributes.extend_from_slice(&self.destination);
            }
        }
        self.inner.export(batch).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(url: Option<&str>) -> String {
        let said = destination(url).into_iter().map(|attribute| format!("{}={}", attribute.key, attribute.value));
        said.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_statement_says_which_database_it_asked_and_no_password() {
        let cases = [
            (None, "db.namespace=docket"),
            (Some("postgres://u:secret@db.example/cases"), "db.namespace=cases server.address=db.example"),
            (
                Some("postgres://u:secret@10.0.0.7:6432/cases?sslmode=require"),
                "db.namespace=cases server.address=10.0.0.7 server.port=6432",
            ),
            (Some("postgres://u@db:5432"), "db.namespace=u server.address=db"),
        ];
        for (url, wanted) in cases {
            assert_eq!(said(url), wanted, "{url:?}");
        }
    }
}
