//! What tokens must be like to be accepted, and how the issuer's keys are kept.

use std::time::Duration;

use docket_domain::principal::{Role, Roles};
use docket_domain::tenancy::GRANTABLE;
use jsonwebtoken::{Algorithm, AlgorithmFamily};

/// The settings as the configuration has them.
#[derive(Debug, Clone)]
pub struct OidcSettings {
    /// The `iss` of every token, to the letter.
    pub issuer: String,
    /// The `aud` that every token must name.
    pub audience: String,
    /// Where the keys are; none: as the issuer's discovery document says.
    pub jwks_url: Option<String>,
    /// The claim with the roles: a name, or a JSON Pointer (RFC 6901).
    pub roles_claim: String,
    /// `theirs=ours`; empty: their names are ours.
    pub role_names: Vec<String>,
    /// The claim with the tenant: a name, or a JSON Pointer.
    pub tenant_claim: String,
    /// Names of asymmetric algorithms (RFC 7518).
    pub algorithms: Vec<String>,
    /// `typ` of the tokens: `at+jwt`, `JWT`.
    pub token_types: Vec<String>,
    /// Tolerated difference between the clocks.
    pub clock_skew: Duration,
    /// Longest time until a token expires.
    pub max_lifetime: Duration,
    /// Time between two fetches of the keys.
    pub refresh: Duration,
    /// How long keys are believed beyond that while the issuer is away.
    pub stale: Duration,
    /// Shortest time between two fetches.
    pub min_refresh: Duration,
    /// Time for one fetch.
    pub timeout: Duration,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not the name of an asymmetric algorithm.
    #[error("`{0}` is no asymmetric signature algorithm")]
    Algorithm(String),
    /// Not of the form `theirs=ours`, or not a role that may be granted.
    #[error("`{0}` does not name a role that a token may grant")]
    RoleName(String),
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be built")]
    Client(#[from] reqwest::Error),
}

/// The algorithms by name; one with a shared secret is never accepted, whoever asks for it.
pub(super) fn algorithms(names: &[String]) -> Result<Vec<Algorithm>, SettingsError> {
    let parse = |name: &String| match name.parse::<Algorithm>() {
        Ok(algorithm) if algorithm.family() != AlgorithmFamily::Hmac => Ok(algorithm),
        _ => Err(SettingsError::Algorithm(name.clone())),
    };
    names.iter().map(parse).collect()
}

/// What the issuer's role names mean here.
#[derive(Debug, Clone)]
pub(super) struct RoleNames(Vec<(String, Role)>);

impl RoleNames {
    pub(super) fn new(pairs: &[String]) -> Result<Self, SettingsError> {
        if pairs.is_empty() {
            return Ok(Self(GRANTABLE.iter().map(|role| (role.as_str().to_owned(), role)).collect()));
        }
        let parse = |pair: &String| {
            let (theirs, ours) = pair.rsplit_once('=')?;
            let role = ours.parse::<Role>().ok().filter(|role| GRANTABLE.has(*role))?;
            Some((theirs.to_owned(), role))
        };
        let names = pairs.iter().map(|pair| parse(pair).ok_or_else(|| SettingsError::RoleName(pair.clone())));
        Ok(Self(names.collect::<Result<_, _>>()?))
    }

    /// Our roles behind `names`; names that mean nothing here are passed over.
    pub(super) fn translate(&self, names: &[&str]) -> Roles {
        let known = self.0.iter().filter(|(theirs, _)| names.contains(&theirs.as_str()));
        Roles::of(&known.map(|(_, role)| *role).collect::<Vec<_>>())
    }
}
