//! From a credential to an actor: what is accepted, what is remembered, and how soon it is forgotten.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket::application::error::UseCaseError;
use docket::application::ports::key_store::KeyRecord;
use docket::application::ports::token_verifier::TokenError;
use docket::application::ports::{Clock, StoreError, TokenVerifier};
use docket::application::tenancy::Authenticator;
use docket::application::tenancy::api_key::{NewKey, from_random};
use docket_domain::ids::{ApiKeyId, PrincipalId, TenantId};
use docket_domain::principal::{Actor, PrincipalKind, Role, Roles, Scope};
use uuid::Uuid;

use super::desk::{TENANT, reporter};
use super::fakes::{FrozenClock, MemoryKeys};

const MEMORY: Duration = Duration::from_mins(1);

struct Gate {
    keys: Arc<MemoryKeys>,
    clock: Arc<FrozenClock>,
    authenticator: Authenticator,
}

fn gate(memory: Duration, tokens: Option<Arc<dyn TokenVerifier>>) -> Gate {
    let (keys, clock) = (Arc::new(MemoryKeys::default()), Arc::new(FrozenClock::new()));
    let authenticator = Authenticator::new(keys.clone(), tokens, clock.clone(), memory);
    Gate { keys, clock, authenticator }
}

fn key(number: u8) -> NewKey {
    from_random(&[number; 41])
}

fn record(key: &NewKey) -> KeyRecord {
    KeyRecord {
        key_id: ApiKeyId(Uuid::from_u128(1)),
        tenant_id: TENANT,
        principal_id: PrincipalId(Uuid::from_u128(2)),
        kind: PrincipalKind::Service,
        roles: Roles::of(&[Role::Caseworker]),
        scopes: vec![Scope::CasesRead],
        secret_hash: key.secret_hash,
        expires_at: None,
        blocked: false,
    }
}

#[track_caller]
fn refused(answer: &Result<Actor, UseCaseError>) {
    let Err(UseCaseError::Unauthenticated(why)) = answer else { panic!("{answer:?}") };
    assert_eq!(*why, "the API key is not valid: it is unknown, expired or revoked", "one answer to every bad key");
}

#[tokio::test]
async fn a_key_speaks_for_its_principal() {
    let gate = gate(MEMORY, None);
    gate.keys.put(&key(1).prefix, record(&key(1)));
    let actor = gate.authenticator.authenticate(&key(1).text).await.unwrap();
    assert_eq!((actor.tenant_id, actor.principal_id), (TENANT, PrincipalId(Uuid::from_u128(2))));
    assert_eq!((actor.kind, actor.roles), (PrincipalKind::Service, Roles::of(&[Role::Caseworker])));
    assert_eq!((actor.scopes, actor.on_behalf_of), (vec![Scope::CasesRead], None));
}

#[tokio::test]
async fn every_bad_key_gets_the_same_answer() {
    let gate = gate(MEMORY, None);
    let good = key(1);
    gate.keys.put(&good.prefix, record(&good));
    refused(&gate.authenticator.authenticate(&key(2).text).await);
    refused(&gate.authenticator.authenticate("dk_").await);
    let other = key(2).text;
    let other_secret = &other[other.len() - 43..];
    let wrong = format!("dk_{}_{other_secret}", good.prefix);
    refused(&gate.authenticator.authenticate(&wrong).await);
    gate.authenticator.authenticate(&good.text).await.unwrap();
    refused(&gate.authenticator.authenticate(&wrong).await);
    gate.keys.put(&key(3).prefix, KeyRecord { blocked: true, ..record(&key(3)) });
    refused(&gate.authenticator.authenticate(&key(3).text).await);
}

#[tokio::test]
async fn a_key_expires_at_its_moment_also_while_it_is_remembered() {
    let gate = gate(MEMORY, None);
    let expires_at = Some(gate.clock.now() + time::Duration::hours(1));
    gate.keys.put(&key(1).prefix, KeyRecord { expires_at, ..record(&key(1)) });
    gate.clock.advance(time::Duration::hours(1) - time::Duration::MICROSECOND);
    gate.authenticator.authenticate(&key(1).text).await.unwrap();
    gate.clock.advance(time::Duration::MICROSECOND);
    refused(&gate.authenticator.authenticate(&key(1).text).await);
}

#[tokio::test]
async fn a_known_key_costs_no_lookup_until_it_is_forgotten() {
    let gate = gate(MEMORY, None);
    gate.keys.put(&key(1).prefix, record(&key(1)));
    gate.keys.put(&key(2).prefix, KeyRecord { tenant_id: TenantId(Uuid::from_u128(9)), ..record(&key(2)) });
    for _ in 0..3 {
        gate.authenticator.authenticate(&key(1).text).await.unwrap();
        gate.authenticator.authenticate(&key(2).text).await.unwrap();
    }
    assert_eq!(gate.keys.lookups(), 2);
    gate.keys.put(&key(1).prefix, KeyRecord { blocked: true, ..record(&key(1)) });
    gate.authenticator.authenticate(&key(1).text).await.unwrap();
    gate.authenticator.forget(&key(1).prefix);
    refused(&gate.authenticator.authenticate(&key(1).text).await);
    gate.authenticator.authenticate(&key(2).text).await.unwrap();
    assert_eq!(gate.keys.lookups(), 3, "the other key is still known");
}

#[tokio::test]
async fn every_key_of_a_tenant_can_be_forgotten_at_once() {
    let gate = gate(MEMORY, None);
    gate.keys.put(&key(1).prefix, record(&key(1)));
    gate.keys.put(&key(2).prefix, KeyRecord { tenant_id: TenantId(Uuid::from_u128(9)), ..record(&key(2)) });
    for key in [key(1), key(2)] {
        gate.authenticator.authenticate(&key.text).await.unwrap();
    }
    gate.authenticator.forget_tenant(TENANT);
    gate.authenticator.authenticate(&key(2).text).await.unwrap();
    assert_eq!(gate.keys.lookups(), 2, "the other tenant's key is still known");
    gate.authenticator.authenticate(&key(1).text).await.unwrap();
    assert_eq!(gate.keys.lookups(), 3);
}

#[tokio::test]
async fn a_key_is_remembered_only_for_whoever_knows_its_secret() {
    let gate = gate(MEMORY, None);
    gate.keys.put(&key(1).prefix, KeyRecord { secret_hash: key(2).secret_hash, ..record(&key(1)) });
    refused(&gate.authenticator.authenticate(&key(1).text).await);
    refused(&gate.authenticator.authenticate(&key(1).text).await);
    assert_eq!(gate.keys.lookups(), 2);
}

#[tokio::test]
async fn without_a_memory_every_request_is_looked_up() {
    let gate = gate(Duration::ZERO, None);
    gate.keys.put(&key(1).prefix, record(&key(1)));
    for _ in 0..3 {
        gate.authenticator.authenticate(&key(1).text).await.unwrap();
    }
    assert_eq!(gate.keys.lookups(), 3);
}

#[tokio::test]
async fn the_use_of_a_key_is_noted_once_and_the_use_of_a_bad_one_never() {
    let gate = gate(MEMORY, None);
    gate.keys.put(&key(1).prefix, record(&key(1)));
    gate.keys.put(&key(2).prefix, KeyRecord { key_id: ApiKeyId(Uuid::from_u128(7)), blocked: true, ..record(&key(2)) });
    for _ in 0..5 {
        gate.authenticator.authenticate(&key(1).text).await.unwrap();
        refused(&gate.authenticator.authenticate(&key(2).text).await);
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(gate.keys.touches(), 1);
}

struct OneToken;

#[async_trait]
impl TokenVerifier for OneToken {
    async fn verify(&self, token: &str) -> Result<Actor, TokenError> {
        match token {
            "good" => Ok(reporter().actor),
            "down" => Err(TokenError::Store(StoreError::Unavailable("the issuer is away".into()))),
            "keyless" => Err(TokenError::KeysUnavailable),
            "powerless" => Err(TokenError::Powerless("the token grants no role")),
            _ => Err(TokenError::Rejected("the token has expired")),
        }
    }
}

#[tokio::test]
async fn what_is_no_key_is_a_token_if_tokens_are_configured() {
    let with = gate(MEMORY, Some(Arc::new(OneToken)));
    assert_eq!(with.authenticator.authenticate("good").await.unwrap(), reporter().actor);
    let rejected = with.authenticator.authenticate("old").await;
    assert!(matches!(rejected, Err(UseCaseError::InvalidToken("the token has expired"))));
    let down = with.authenticator.authenticate("down").await;
    assert!(matches!(down, Err(UseCaseError::Store(StoreError::Unavailable(_)))));
    let keyless = with.authenticator.authenticate("keyless").await;
    assert!(matches!(keyless, Err(UseCaseError::KeysUnavailable)));
    let powerless = with.authenticator.authenticate("powerless").await;
    assert!(matches!(powerless, Err(UseCaseError::PowerlessToken("the token grants no role"))));
    assert_eq!(with.keys.lookups(), 0);
    let without = gate(MEMORY, None).authenticator.authenticate("good").await;
    let expected = "the credential is not an API key of this service";
    assert!(matches!(without, Err(UseCaseError::Unauthenticated(why)) if why == expected));
}
