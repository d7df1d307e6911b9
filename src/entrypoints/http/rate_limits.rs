//! Rates per tenant and principal (token buckets), places of a principal, and the lock-out of addresses that keep guessing credentials.

use std::net::IpAddr;
use std::time::Duration;

use docket_domain::ids::{PrincipalId, TenantId};
use docket_domain::principal::Actor;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use http::HeaderValue;
use moka::sync::Cache;

use super::principal_places::{Place, PrincipalPlaces};
use crate::config::Limits;
use crate::faults::Fault;

/// How long an address that failed too often is refused.
const LOCK_OUT: Duration = Duration::from_mins(1);
/// Addresses remembered as refused, at most.
const LOCKED_MAX: u64 = 100_000;

type Bucket<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

/// All limits of a process. Each replica counts for itself.
pub struct RateLimits {
    tenants: Bucket<TenantId>,
    principals: Bucket<(TenantId, PrincipalId)>,
    places: PrincipalPlaces,
    failures: Bucket<IpAddr>,
    locked: Cache<IpAddr, ()>,
    clock: DefaultClock,
    policy: HeaderValue,
}

/// Which allowance is used up, and how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// `tenant`, `principal`, `places` (of the principal) or `address`.
    pub whose: &'static str,
    /// Whole seconds, at least one.
    pub retry_after_seconds: u64,
}

impl RateLimits {
    /// The limits of the configuration.
    pub fn new(limits: &Limits) -> Self {
        let tenant = Quota::per_second(limits.tenant_requests_per_second).allow_burst(limits.tenant_burst);
        let principal = Quota::per_second(limits.principal_requests_per_second).allow_burst(limits.principal_burst);
        let window = |burst: u32, rate: u32| burst.div_ceil(rate);
        let policy = format!(
            "\"tenant\";q={};w={}, \"principal\";q={};w={}",
            limits.tenant_burst,
            window(limits.tenant_burst.get(), limits.tenant_requests_per_second.get()),
            limits.principal_burst,
            window(limits.principal_burst.get(), limits.principal_requests_per_second.get()),
        );
        Self {
            tenants: RateLimiter::keyed(tenant).with_middleware(),
            principals: RateLimiter::keyed(principal).with_middleware(),
            places: PrincipalPlaces::new(limits.principal_in_flight),
            failures: RateLimiter::keyed(Quota::per_minute(limits.failed_logins_per_minute)).with_middleware(),
            locked: Cache::builder().max_capacity(LOCKED_MAX).time_to_live(LOCK_OUT).build(),
            clock: DefaultClock::default(),
            policy: HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("")),
        }
    }

    /// Takes one request from the principal's and then from the tenant's allowance; what the principal has left.
    pub fn admit(&self, actor: &Actor) -> Result<u32, Exceeded> {
        let now = self.clock.now();
        let principal = self.principals.check_key(&(actor.tenant_id, actor.principal_id));
        let left = principal.map_err(|denied| exceeded("principal", denied.wait_time_from(now)))?;
        let tenant = self.tenants.check_key(&actor.tenant_id);
        let of_tenant = tenant.map_err(|denied| exceeded("tenant", denied.wait_time_from(now)))?;
        Ok(left.remaining_burst_capacity().min(of_tenant.remaining_burst_capacity()))
    }

    /// One of the principal's places, held while its request is worked on.
    pub fn enter(&self, actor: &Actor) -> Result<Place<'_>, Exceeded> {
        self.places.take(actor).ok_or_else(|| exceeded("places", Duration::from_secs(1)))
    }

    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10): quota and window in seconds of each.
    pub fn policy(&self) -> HeaderValue {
        self.policy.clone()
    }

    /// Refuses an address that failed to authenticate too often within the last minute.
    pub fn check_address(&self, address: Option<IpAddr>) -> Result<(), Exceeded> {
        let locked = address.is_some_and(|address| self.locked.contains_key(&network_of(address)));
        if locked { Err(exceeded("address", LOCK_OUT)) } else { Ok(()) }
    }

    /// Notes that an address failed to authenticate; the last failure of its allowance locks it out.
    pub fn note_failure(&self, address: Option<IpAddr>) {
        let Some(address) = address.map(network_of).filter(|_| !Fault::GuessesNotCounted.is_seeded()) else { return };
        if self.failures.check_key(&address).map_or(true, |left| left.remaining_burst_capacity() == 0) {
            self.locked.insert(address, ());
        }
    }

    /// Forgets whoever has been quiet, so that memory follows the number of active clients.
    pub fn forget_idle(&self) {
        self.tenants.retain_recent();
        self.principals.retain_recent();
        self.failures.retain_recent();
    }
}

fn exceeded(whose: &'static str, wait: Duration) -> Exceeded {
    let begun_second = u64::from(wait.subsec_nanos() > 0);
    Exceeded { whose, retry_after_seconds: (wait.as_secs() + begun_second).max(1) }
}

/// One customer's IPv6 network is a /64: counting single addresses of it would limit nothing.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn limits(rate: u32, burst: u32) -> RateLimits {
        let mut limits = crate::config::load(&crate::config::Sources::default()).unwrap().config.limits;
        let number = |value| NonZeroU32::new(value).unwrap();
        (limits.principal_requests_per_second, limits.principal_burst) = (number(rate), number(burst));
        (limits.tenant_requests_per_second, limits.tenant_burst) = (number(rate), number(burst + 2));
        RateLimits::new(&limits)
    }

    fn actor(principal: u128) -> Actor {
        let mut actor = Actor::system(TenantId(uuid::Uuid::from_u128(1)));
        actor.principal_id = PrincipalId(uuid::Uuid::from_u128(principal));
        actor
    }

    #[test]
    fn a_principal_gets_its_burst_and_its_tenant_bounds_them_all() {
        let limits = limits(1, 3);
        assert_eq!((1..=3).map(|_| limits.admit(&actor(1))).collect::<Vec<_>>(), [Ok(2), Ok(1), Ok(0)]);
        assert_eq!(limits.admit(&actor(1)), Err(Exceeded { whose: "principal", retry_after_seconds: 1 }));
        assert_eq!((1..=2).map(|_| limits.admit(&actor(2))).collect::<Vec<_>>(), [Ok(1), Ok(0)]);
        assert_eq!(limits.admit(&actor(2)).unwrap_err().whose, "tenant");
        assert_eq!(limits.policy(), "\"tenant\";q=5;w=5, \"principal\";q=3;w=3");
    }

    #[test]
    fn guessing_locks_the_address_out_and_no_other() {
        let limits = limits(1, 1);
        let (guesser, neighbour, other): (IpAddr, IpAddr, IpAddr) =
            ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        for _ in 0..9 {
            limits.note_failure(Some(guesser));
            assert_eq!(limits.check_address(Some(guesser)), Ok(()));
        }
        limits.note_failure(Some(guesser));
        assert_eq!(limits.check_address(Some(neighbour)).unwrap_err().whose, "address");
        assert_eq!(limits.check_address(Some(other)), Ok(()));
        assert_eq!(limits.check_address(None), Ok(()));
    }
}
