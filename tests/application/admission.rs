//! From a verified token to a principal: who is admitted, what is written, what is remembered.

use std::sync::Arc;
use std::time::Duration;

use docket::application::ports::identity_admission::{ForeignIdentity, IdentityAdmission};
use docket::application::ports::token_verifier::TokenError;
use docket::application::ports::{Clock, Randomness};
use docket::application::tenancy::admit_identity::Admission;
use docket::application::tenancy::{CredentialMemory, TenancyWriting};
use docket_domain::ids::{PrincipalId, TenantId};
use docket_domain::principal::{PrincipalKind, Role, Roles};
use docket_domain::tenancy::Tenant;
use uuid::Uuid;

use super::desk::TENANT;
use super::fakes::{FrozenClock, MemoryTenancy};

const GRACE: PrincipalId = PrincipalId(Uuid::from_u128(0x6ace));
const NO_TENANT: &str = "the token names no tenant of this service";
const DISABLED: &str = "the token's principal is disabled in this service";

/// Admission draws no random bytes.
struct NoRandomness;

impl Randomness for NoRandomness {
    fn fill(&self, _: &mut [u8]) {
        unreachable!("nobody asked for a secret");
    }
}

struct Gate {
    store: Arc<MemoryTenancy>,
    memory: Arc<CredentialMemory>,
    admission: Admission,
}

fn gate() -> Gate {
    let (store, clock) = (Arc::new(MemoryTenancy::default()), Arc::new(FrozenClock::new()));
    store.put_tenant(tenant(TENANT, "alpha", false));
    store.put_tenant(tenant(TenantId(Uuid::from_u128(9)), "closed", true));
    store.put_tenant(tenant(TenantId::PLATFORM, "platform", false));
    let memory = Arc::new(CredentialMemory::new(Duration::from_mins(1)));
    let admission = Admission::new(TenancyWriting {
        store: store.clone(),
        clock,
        randomness: Arc::new(NoRandomness),
        memory: memory.clone(),
        key_lifetime: time::Duration::HOUR,
    });
    Gate { store, memory, admission }
}

fn tenant(id: TenantId, name: &str, suspended: bool) -> Tenant {
    let created_at = FrozenClock::new().now();
    Tenant { id, name: name.to_owned(), display_name: name.to_owned(), suspended, created_at }
}

fn identity(tenant: &str, roles: &[Role]) -> ForeignIdentity {
    ForeignIdentity {
        tenant: tenant.to_owned(),
        external_id: "https://id.example grace".to_owned(),
        principal_id: GRACE,
        display_name: "Grace".to_owned(),
        roles: Roles::of(roles),
        issued_at: None,
    }
}

impl Gate {
    async fn refused(&self, identity: &ForeignIdentity) -> String {
        match self.admission.admit(identity).await {
            Err(TokenError::Rejected(why)) => why.to_owned(),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_new_identity_becomes_a_user_of_the_tenant_named_by_name_or_id() {
    for name in ["alpha".to_owned(), TENANT.to_string()] {
        let gate = gate();
        let admitted = gate.admission.admit(&identity(&name, &[Role::Reporter])).await.unwrap();
        assert_eq!((admitted.tenant_id, admitted.principal_id, admitted.kind), (TENANT, GRACE, PrincipalKind::User));
        let stored = gate.store.stored(TENANT, GRACE).unwrap();
        assert_eq!(stored.external_id.as_deref(), Some("https://id.example grace"));
        assert_eq!((stored.roles, stored.disabled), (Roles::of(&[Role::Reporter]), false));
        assert_eq!(gate.store.actions(), ["principal.first_seen"]);
    }
}

#[tokio::test]
async fn a_known_identity_writes_nothing_and_soon_reads_nothing() {
    let gate = gate();
    let grace = identity("alpha", &[Role::Reporter]);
    gate.admission.admit(&grace).await.unwrap();
    let reads = gate.store.reads();
    gate.admission.admit(&grace).await.unwrap();
    assert_eq!(gate.store.reads(), reads, "it is remembered");
    gate.memory.forget_tenant(TENANT);
    gate.admission.admit(&grace).await.unwrap();
    assert!(gate.store.reads() > reads);
    assert_eq!(gate.store.actions(), ["principal.first_seen"]);
}

#[tokio::test]
async fn changed_roles_are_noted_on_the_chain_before_they_hold() {
    let gate = gate();
    gate.admission.admit(&identity("alpha", &[Role::Reporter])).await.unwrap();
    gate.admission.admit(&identity("alpha", &[Role::Admin])).await.unwrap();
    assert_eq!(gate.store.stored(TENANT, GRACE).unwrap().roles, Roles::of(&[Role::Admin]));
    assert_eq!(gate.store.actions(), ["principal.first_seen", "principal.roles_from_token"]);
}

#[tokio::test]
async fn an_older_token_acts_and_writes_no_roles_back() {
    let gate = gate();
    let issued = |seconds, role| ForeignIdentity {
        issued_at: Some(FrozenClock::new().now() + time::Duration::seconds(seconds)),
        ..identity("alpha", &[role])
    };
    gate.admission.admit(&issued(20, Role::Reporter)).await.unwrap();
    gate.admission.admit(&issued(10, Role::Admin)).await.expect("it is still valid");
    assert_eq!(gate.store.stored(TENANT, GRACE).unwrap().roles, Roles::of(&[Role::Reporter]));
    assert_eq!(gate.store.actions(), ["principal.first_seen"]);
    gate.admission.admit(&issued(30, Role::Auditor)).await.unwrap();
    gate.admission.admit(&issued(29, Role::Admin)).await.unwrap();
    // One that does not say when it was issued is followed, as before.
    assert_eq!(gate.store.stored(TENANT, GRACE).unwrap().roles, Roles::of(&[Role::Auditor]));
    gate.admission.admit(&identity("alpha", &[Role::Supervisor])).await.unwrap();
    assert_eq!(gate.store.stored(TENANT, GRACE).unwrap().roles, Roles::of(&[Role::Supervisor]));
}

#[tokio::test]
async fn a_disabled_principal_is_refused_whatever_the_token_says() {
    let gate = gate();
    gate.admission.admit(&identity("alpha", &[Role::Reporter])).await.unwrap();
    gate.store.change(TENANT, GRACE, |grace| grace.disabled = true);
    gate.memory.forget_tenant(TENANT);
    assert_eq!(gate.refused(&identity("alpha", &[Role::Reporter])).await, DISABLED);
    assert_eq!(gate.refused(&identity("alpha", &[Role::Admin])).await, DISABLED);
    assert_eq!(gate.store.stored(TENANT, GRACE).unwrap().roles, Roles::of(&[Role::Reporter]));
}

#[tokio::test]
async fn unknown_suspended_and_the_platforms_own_tenant_are_one_refusal() {
    let gate = gate();
    for name in ["beta", "closed", "platform", "", "00000000-0000-0000-0000-000000000000", "Alpha"] {
        assert_eq!(gate.refused(&identity(name, &[Role::Admin])).await, NO_TENANT, "{name}");
    }
    assert!(gate.store.actions().is_empty());
}

#[tokio::test]
async fn an_arrival_begins_again_when_the_chain_moves_and_gives_up_as_unavailable() {
    let gate = gate();
    gate.store.move_under_the_next(3);
    gate.admission.admit(&identity("alpha", &[Role::Reporter])).await.unwrap();
    assert_eq!(gate.store.actions(), ["principal.first_seen"]);
    gate.store.move_under_the_next(1_000);
    let given_up = gate.admission.admit(&identity("alpha", &[Role::Admin])).await;
    assert!(matches!(given_up, Err(TokenError::Store(_))), "{given_up:?}");
}

#[tokio::test]
async fn without_the_store_nobody_new_is_admitted_and_nobody_is_rejected() {
    let gate = gate();
    let grace = identity("alpha", &[Role::Reporter]);
    gate.admission.admit(&grace).await.unwrap();
    gate.store.go_away();
    gate.admission.admit(&grace).await.unwrap();
    let stranger = ForeignIdentity { principal_id: PrincipalId(Uuid::from_u128(1)), ..grace };
    assert!(matches!(gate.admission.admit(&stranger).await, Err(TokenError::Store(_))));
}
