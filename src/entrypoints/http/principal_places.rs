//! How many requests of one principal are worked on at once: one client must not hold every place that a process has.

use std::collections::HashMap;

use docket_domain::ids::{PrincipalId, TenantId};
use docket_domain::principal::Actor;
use parking_lot::Mutex;

/// Principals meet at a lock only with those whose ids end alike.
const SHARDS: usize = 16;

type Key = (TenantId, PrincipalId);
type Shard = Mutex<HashMap<Key, usize>>;

/// The requests that are worked on, by principal.
#[derive(Debug)]
pub struct PrincipalPlaces {
    most: usize,
    shards: [Shard; SHARDS],
}

/// A request that is worked on; makes room when it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    shard: &'a Shard,
    key: Key,
}

impl PrincipalPlaces {
    /// At most so many of each principal.
    pub fn new(most: usize) -> Self {
        Self { most, shards: std::array::from_fn(|_| Shard::default()) }
    }

    /// A place for a request of this principal, if it has one left.
    pub fn take(&self, actor: &Actor) -> Option<Place<'_>> {
        let key = (actor.tenant_id, actor.principal_id);
        // The last byte of an id is random, whether it was made from the time or from a name.
        let last = usize::from(actor.principal_id.0.as_bytes()[15]);
        let shard = &self.shards[last % SHARDS];
        let mut working = shard.lock();
        let count = working.entry(key).or_default();
        // Whoever has none has just begun, and at least one is always allowed.
        if *count >= self.most.max(1) {
            return None;
        }
        *count += 1;
        drop(working);
        Some(Place { shard, key })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut working = self.shard.lock();
        if let Some(count) = working.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                working.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_principal_has_its_places_and_takes_none_of_anothers() {
        let places = PrincipalPlaces::new(2);
        let actor = |tenant, principal| {
            let mut actor = Actor::system(TenantId(Uuid::from_u128(tenant)));
            actor.principal_id = PrincipalId(Uuid::from_u128(principal));
            actor
        };
        let held = [places.take(&actor(1, 7)), places.take(&actor(1, 7))];
        assert!(held.iter().all(Option::is_some) && places.take(&actor(1, 7)).is_none());
        assert!(places.take(&actor(2, 7)).is_some() && places.take(&actor(1, 7 + 256)).is_some());
        drop(held);
        assert!(places.take(&actor(1, 7)).is_some());
        assert!(places.shards.iter().all(|shard| shard.lock().is_empty()), "who has left is still remembered");
    }
}
