//! The company register over HTTP: `GET {url}/v1/companies?name=`, one request a question.

use std::time::Duration;

use async_trait::async_trait;
use docket_domain::case::Company;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use url::Url;

use super::retry_after::retry_after;
use crate::application::ports::CompanyRegister;
use crate::application::ports::company_register::RegisterError;
use crate::telemetry::inject_current;

/// How to reach the register.
#[derive(Clone)]
pub struct RegisterSettings {
    /// Its base URL.
    pub url: Url,
    /// What it is shown as a bearer token, if it wants one.
    pub token: Option<String>,
    /// Time for a connection.
    pub connect_timeout: Duration,
    /// Time for the whole exchange.
    pub timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub largest: usize,
}

/// [`CompanyRegister`] by reqwest.
pub struct HttpCompanyRegister {
    client: Client,
    settings: RegisterSettings,
}

/// What the register answers, as far as it is of interest; further members are ignored.
#[derive(Deserialize)]
struct Answer {
    companies: Vec<Known>,
}

#[derive(Deserialize)]
struct Known {
    number: String,
    name: String,
    status: String,
    #[serde(default)]
    address: String,
}

impl HttpCompanyRegister {
    /// A client of the register; fails only if TLS cannot be set up.
    pub fn new(settings: RegisterSettings) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .user_agent(concat!("docket/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, settings })
    }

    fn address(&self, name: &str) -> Url {
        let mut url = self.settings.url.clone();
        let path = format!("{}/v1/companies", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url.query_pairs_mut().append_pair("name", name);
        url
    }
}

#[async_trait]
impl CompanyRegister for HttpCompanyRegister {
    #[tracing::instrument(name = "GET companies", skip_all, fields(otel.kind = "client"))]
    async fn look_up(&self, name: &str) -> Result<Option<Company>, RegisterError> {
        let mut request = self.client.get(self.address(name)).header("accept", "application/json");
        if let Some(token) = &self.settings.token {
            request = request.bearer_auth(token);
        }
        let mut headers = http::HeaderMap::new();
        inject_current(&mut headers);
        let mut response = request.headers(headers).send().await.map_err(|error| unreachable(&error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                let retry_after = retry_after(response.headers());
                return Err(RegisterError::Unavailable {
                    reason: format!("answers with status {status}"),
                    retry_after,
                });
            }
            status if status.is_client_error() => return Err(RegisterError::Refused(status.as_u16())),
            status => return Err(RegisterError::Garbage(format!("answers with status {status}"))),
        }
        let mut body = Vec::new();
        // The announced length is not believed: what arrives is counted, and the connection dropped at the bound.
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(&error))? {
            if body.len() + chunk.len() > self.settings.largest {
                let largest = self.settings.largest;
                return Err(RegisterError::Garbage(format!("answers with more than {largest} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        read(&body)
    }
}

/// The first company of an answer.
fn read(body: &[u8]) -> Result<Option<Company>, RegisterError> {
    let nonsense = |what: &str| RegisterError::Garbage(format!("answers with nonsense: {what}"));
    let answer: Answer = serde_json::from_slice(body).map_err(|_| nonsense("no list of companies"))?;
    let Some(known) = answer.companies.into_iter().next() else { return Ok(None) };
    let status = known.status.parse().map_err(|_| nonsense("a status that no company has"))?;
    let company = Company::new(&known.number, &known.name, status, &known.address);
    company.map(Some).map_err(|_| nonsense("a number, name or address that cannot be stored"))
}

/// What went wrong, without the address.
fn unreachable(error: &reqwest::Error) -> RegisterError {
    RegisterError::unavailable(if error.is_timeout() {
        "does not answer in time"
    } else if error.is_connect() {
        "cannot be reached"
    } else {
        "breaks the connection"
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_are_read_strictly() {
        let company = br#"{"companies":[{"number":"7","name":"A","status":"active","more":1}],"page":1}"#;
        assert_eq!(read(company).unwrap().unwrap().number, "7");
        assert_eq!(read(br#"{"companies":[]}"#), Ok(None));
        for bad in [
            "<html>",
            "",
            "[]",
            "{}",
            r#"{"companies":[{}]}"#,
            r#"{"companies":[{"number":"7","name":"A","status":"asleep"}]}"#,
            r#"{"companies":[{"number":"","name":"A","status":"active"}]}"#,
            r#"{"companies":[{"number":"7","name":"A\u0000","status":"active"}]}"#,
        ] {
            assert!(matches!(read(bad.as_bytes()), Err(RegisterError::Garbage(_))), "{bad}");
        }
    }
}
