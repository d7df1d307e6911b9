//! Step 10: headers that tell browsers to trust nothing they need not trust (OWASP Secure Headers).

use http::{HeaderMap, HeaderName, HeaderValue, header};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const API_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The page that shows the OpenAPI document loads its own scripts and sets styles inline.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
);

/// What kind of page a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathClass {
    Api,
    Docs,
    Other,
}

impl PathClass {
    pub(super) fn of(path: &str) -> Self {
        let within = |room: &str| path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match path {
            _ if within("/v1") => Self::Api,
            _ if within("/docs") => Self::Docs,
            _ => Self::Other,
        }
    }
}

/// Adds the headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct SecureHeaders {
    https: bool,
}

impl SecureHeaders {
    /// `https`: clients come by TLS, so that browsers may be told to insist on it.
    pub(super) const fn new(https: bool) -> Self {
        Self { https }
    }

    /// Adds what the handler has not set itself.
    pub(super) fn add(self, headers: &mut HeaderMap, class: PathClass) {
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
        let policy = if class == PathClass::Docs { DOCS_POLICY } else { API_POLICY };
        headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
        if class == PathClass::Api {
            headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        }
        if self.https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn added(https: bool, path: &str, before: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers: HeaderMap =
            before.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        SecureHeaders::new(https).add(&mut headers, PathClass::of(path));
        headers
    }

    #[test]
    fn every_answer_tells_browsers_to_trust_nothing() {
        for path in ["/v1/cases", "/docs/", "/problems/conflict", "/metrics"] {
            let headers = added(false, path, &[]);
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
            assert_eq!(headers[header::X_FRAME_OPTIONS], "DENY", "{path}");
            assert_eq!(headers[header::REFERRER_POLICY], "no-referrer", "{path}");
            assert_eq!(headers[RESOURCE_POLICY], "same-origin", "{path}");
            let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
            assert_eq!(policy.contains("'self'"), path == "/docs/", "{path}: {policy}");
            assert_eq!(headers.contains_key(header::CACHE_CONTROL), path == "/v1/cases", "{path}");
        }
    }

    #[test]
    fn transport_security_is_promised_only_where_there_is_tls_and_a_handlers_own_policy_stays() {
        assert!(!added(false, "/v1/cases", &[]).contains_key(header::STRICT_TRANSPORT_SECURITY));
        assert_eq!(added(true, "/v1/cases", &[])[header::STRICT_TRANSPORT_SECURITY], "max-age=31536000");
        let own =
            added(true, "/v1/x", &[(header::CONTENT_SECURITY_POLICY, "sandbox"), (header::CACHE_CONTROL, "private")]);
        assert_eq!(
            (&own[header::CONTENT_SECURITY_POLICY], &own[header::CACHE_CONTROL]),
            (&HeaderValue::from_static("sandbox"), &HeaderValue::from_static("private"))
        );
    }
}
