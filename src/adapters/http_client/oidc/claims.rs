//! What a token says: whether it is from our issuer, for us, for now, and about whom.

use docket_domain::ids::PrincipalId;
use docket_domain::principal::Roles;
use docket_domain::tenancy::LABEL_MAX;
use serde_json::Value;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Builder;

use super::settings::RoleNames;
use crate::application::ports::identity_admission::ForeignIdentity;
use crate::application::ports::token_verifier::TokenError;
use crate::faults::Fault;

/// Longest subject, in characters (OpenID Connect Core 1.0, section 2).
const LONGEST_SUBJECT: usize = 255;
/// Longest name of a tenant as a token has it: a UUID or a tenant's name.
const LONGEST_TENANT: usize = 64;
/// Most audiences and role names of a token.
const LONGEST_LIST: usize = 1_000;
/// The last second that a four-digit year has.
const END_OF_TIME: i64 = 253_402_300_799;

/// Claims that only other kinds of tokens have: ID tokens and logout tokens are for the client that asked for them.
const OF_OTHER_TOKENS: [&str; 3] = ["at_hash", "c_hash", "events"];

/// What claims must be like.
#[derive(Debug, Clone)]
pub(super) struct ClaimPolicy {
    pub issuer: String,
    pub audience: String,
    pub roles_claim: String,
    pub role_names: RoleNames,
    pub tenant_claim: String,
    /// In seconds.
    pub clock_skew: i64,
    /// In seconds.
    pub max_lifetime: i64,
}

impl ClaimPolicy {
    /// The identity that verified claims speak of at `now`.
    pub(super) fn check(&self, claims: &Value, now: OffsetDateTime) -> Result<ForeignIdentity, TokenError> {
        if claims["iss"].as_str() != Some(&self.issuer) {
            return rejected("the token is from another issuer");
        }
        if !self.is_for_us(claims) && !Fault::AnyAudience.is_seeded() {
            return rejected("the token is for another audience");
        }
        self.check_times(claims, now.unix_timestamp())?;
        if OF_OTHER_TOKENS.iter().any(|name| claims.get(name).is_some()) {
            return rejected("the token is not an access token");
        }
        if claims.get("cnf").is_some() {
            return rejected("the token is bound to a key of its bearer, which cannot be checked here");
        }
        let subject = line(&claims["sub"], LONGEST_SUBJECT);
        let subject = subject.ok_or(TokenError::Rejected("the token names no subject"))?;
        let tenant = line(claim(claims, &self.tenant_claim), LONGEST_TENANT);
        let tenant = tenant.ok_or(TokenError::Rejected("the token names no tenant"))?;
        let roles = self.roles(claim(claims, &self.roles_claim))?;
        if roles == Roles::NONE {
            return Err(TokenError::Powerless("the token grants no role of this service"));
        }
        let external_id = format!("{} {subject}", self.issuer);
        Ok(ForeignIdentity {
            tenant: tenant.to_owned(),
            principal_id: principal_id(&external_id),
            display_name: display_name(claims, subject),
            external_id,
            roles,
            issued_at: instant(claims, "iat").flatten().and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()),
        })
    }

    fn is_for_us(&self, claims: &Value) -> bool {
        match &claims["aud"] {
            Value::String(audience) => *audience == self.audience,
            Value::Array(all) => strings(all).is_some_and(|all| all.contains(&self.audience.as_str())),
            _ => false,
        }
    }

    fn check_times(&self, claims: &Value, now: i64) -> Result<(), TokenError> {
        let Some(Some(expires)) = instant(claims, "exp") else {
            return rejected("the token does not say when it expires");
        };
        if expires <= now - self.clock_skew {
            return rejected("the token has expired");
        }
        if expires > now + self.clock_skew + self.max_lifetime {
            return rejected("the token lives longer than tokens may");
        }
        for name in ["nbf", "iat"] {
            match instant(claims, name) {
                None => return rejected("a time in the token is not a number of seconds"),
                Some(Some(from)) if from > now + self.clock_skew => return rejected("the token is not valid yet"),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn roles(&self, value: &Value) -> Result<Roles, TokenError> {
        let names = match value {
            Value::Null => Some(Vec::new()),
            Value::String(name) => Some(vec![name.as_str()]),
            Value::Array(all) => strings(all),
            _ => None,
        };
        let names = names.ok_or(TokenError::Rejected("the token's roles are not a list of names"))?;
        Ok(self.role_names.translate(&names))
    }
}

fn rejected<T>(why: &'static str) -> Result<T, TokenError> {
    Err(TokenError::Rejected(why))
}

/// The claim of this name, or at this JSON Pointer; null when there is none.
fn claim<'a>(claims: &'a Value, name: &str) -> &'a Value {
    let found = if name.starts_with('/') { claims.pointer(name) } else { claims.get(name) };
    found.unwrap_or(&Value::Null)
}

/// A list of nothing but strings.
fn strings(all: &[Value]) -> Option<Vec<&str>> {
    if all.len() > LONGEST_LIST {
        return None;
    }
    all.iter().map(Value::as_str).collect()
}

/// A `NumericDate` (RFC 7519, section 2) in whole seconds: the outer none for a value that is none, the inner for no claim.
#[allow(clippy::option_option, reason = "absent and wrong are different answers")]
fn instant(claims: &Value, name: &str) -> Option<Option<i64>> {
    match claims.get(name) {
        None => Some(None),
        Some(value) => value.as_i64().filter(|seconds| (0..=END_OF_TIME).contains(seconds)).map(Some),
    }
}

/// Text of one line that is not empty, without blanks around it.
fn line(value: &Value, longest: usize) -> Option<&str> {
    let text = value.as_str()?;
    let fits = !text.is_empty() && text.chars().count() <= longest && text.trim() == text;
    (fits && !text.chars().any(char::is_control)).then_some(text)
}

/// The name for people to read: it grants nothing, so what does not fit is passed over.
fn display_name(claims: &Value, subject: &str) -> String {
    let named = ["name", "preferred_username", "email"].iter().find_map(|name| line(&claims[*name], LABEL_MAX));
    named.unwrap_or(subject).chars().take(LABEL_MAX).collect()
}

/// The principal of an issuer's subject: the same on every replica and in every tenant's table. A UUID of version 8 (RFC
/// 9562, section 5.8) from SHA-256, which cannot meet the version 7 of principals that were made here.
fn principal_id(external_id: &str) -> PrincipalId {
    let digest: [u8; 32] = Sha256::digest(format!("docket principal {external_id}")).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    PrincipalId(Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use docket_domain::principal::Role;
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn policy() -> ClaimPolicy {
        ClaimPolicy {
            issuer: "https://id.example".to_owned(),
            audience: "docket".to_owned(),
            roles_claim: "roles".to_owned(),
            role_names: RoleNames::new(&[]).unwrap(),
            tenant_claim: "/org/name".to_owned(),
            clock_skew: 60,
            max_lifetime: 3_600,
        }
    }

    fn good() -> Value {
        json!({"iss": "https://id.example", "aud": "docket", "sub": "u1", "exp": NOW + 600, "iat": NOW, "nbf": NOW,
            "org": {"name": "alpha"}, "roles": ["caseworker", "wizard"], "name": "Ada"})
    }

    fn check(change: &Value) -> Result<ForeignIdentity, TokenError> {
        let mut claims = good();
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        policy().check(&claims, OffsetDateTime::from_unix_timestamp(NOW).unwrap())
    }

    #[track_caller]
    fn refused(change: &Value) -> String {
        check(change).expect_err("refused").to_string()
    }

    #[test]
    fn a_good_token_names_issuer_subject_tenant_and_known_roles() {
        let identity = check(&json!({})).unwrap();
        assert_eq!((identity.tenant.as_str(), identity.display_name.as_str()), ("alpha", "Ada"));
        assert_eq!(identity.external_id, "https://id.example u1");
        assert_eq!(identity.roles, Roles::of(&[Role::Caseworker]));
        assert_eq!(identity.issued_at.map(OffsetDateTime::unix_timestamp), Some(NOW));
        assert_eq!(identity.principal_id, check(&json!({"name": 7})).unwrap().principal_id);
        assert_ne!(identity.principal_id, check(&json!({"sub": "u2"})).unwrap().principal_id);
        assert_eq!(check(&json!({"name": 7, "email": "a@b"})).unwrap().display_name, "a@b");
        assert_eq!(check(&json!({"roles": "admin"})).unwrap().roles, Roles::of(&[Role::Admin]));
    }

    #[test]
    fn issuer_and_audience_are_compared_to_the_letter() {
        for bad in
            [json!("https://id.example/"), json!(["https://id.example"]), json!(null), json!("HTTPS://ID.EXAMPLE")]
        {
            assert_eq!(refused(&json!({"iss": bad})), "the token is from another issuer");
        }
        assert!(check(&json!({"aud": ["other", "docket"]})).is_ok());
        for bad in [
            json!("docket2"),
            json!("Docket"),
            json!(["other"]),
            json!([]),
            json!(["docket", 1]),
            json!([["docket"]]),
            json!({"docket": true}),
            json!(null),
        ] {
            assert_eq!(refused(&json!({"aud": bad})), "the token is for another audience");
        }
    }

    #[test]
    fn times_hold_give_or_take_the_skew() {
        assert!(check(&json!({"exp": NOW - 59})).is_ok());
        assert_eq!(refused(&json!({"exp": NOW - 60})), "the token has expired");
        assert!(check(&json!({"exp": NOW + 3_660})).is_ok());
        assert_eq!(refused(&json!({"exp": NOW + 3_661})), "the token lives longer than tokens may");
        for bad in [json!(null), json!("1800000600"), json!(1_800_000_600.5), json!(-1), json!(1e300), json!([NOW])] {
            assert_eq!(refused(&json!({"exp": bad})), "the token does not say when it expires", "{bad}");
        }
        for name in ["nbf", "iat"] {
            assert!(check(&json!({name: NOW + 60})).is_ok());
            assert_eq!(refused(&json!({name: NOW + 61})), "the token is not valid yet");
            assert_eq!(refused(&json!({name: "soon"})), "a time in the token is not a number of seconds");
        }
    }

    #[test]
    fn subject_tenant_and_roles_must_be_what_they_should_be() {
        for bad in [json!(""), json!(" u1"), json!("a\u{0}b"), json!(7), json!("x".repeat(256))] {
            assert_eq!(refused(&json!({"sub": bad})), "the token names no subject");
        }
        assert_eq!(refused(&json!({"org": "alpha"})), "the token names no tenant");
        assert_eq!(refused(&json!({"org": {"name": ["alpha"]}})), "the token names no tenant");
        for bad in [json!({"admin": true}), json!([["admin"]]), json!([1, "admin"]), json!(true)] {
            assert_eq!(refused(&json!({"roles": bad})), "the token's roles are not a list of names");
        }
        for none in [json!(null), json!([]), json!(["wizard"]), json!(["operator", "system"]), json!("ADMIN")] {
            assert!(matches!(check(&json!({"roles": none})), Err(TokenError::Powerless(_))), "{none}");
        }
    }

    #[test]
    fn tokens_for_other_uses_are_refused() {
        for name in ["at_hash", "c_hash", "events"] {
            assert_eq!(refused(&json!({name: "x"})), "the token is not an access token");
        }
        assert!(refused(&json!({"cnf": {"jkt": "x"}})).starts_with("the token is bound to a key"));
    }

    #[test]
    fn names_of_roles_are_translated_where_that_is_configured() {
        let pairs = ["cn=chiefs=supervisor".to_owned(), "clerk=reporter".to_owned()];
        let names = RoleNames::new(&pairs).unwrap();
        assert_eq!(names.translate(&["cn=chiefs", "admin"]), Roles::of(&[Role::Supervisor]));
        assert_eq!(names.translate(&["supervisor"]), Roles::NONE);
        assert!(RoleNames::new(&["root=operator".to_owned()]).is_err());
    }
}
