//! The beginnings of prompts, remembered for each tenant: instructions and passages between their marks, and how many tokens
//! they are at most.
//!
//! A question is counted for its budget, charged, and sent to perhaps several providers; its beginning is put together once, and
//! the next question about the same passages finds it and begins with the same bytes, which is what providers' own caches go by.
//!
//! The key is the tenant and a hash of everything that stands in the beginning. Passages are read from the store for each
//! question, under the predicate of who may see them, so a beginning is found only by who was just given these very texts. Where
//! passages of a tenant come or go, all that is remembered of it is forgotten (`FollowPassages`), in every process.

use std::sync::Arc;
use std::time::Duration;

use docket_domain::ids::TenantId;
use moka::sync::Cache;

use super::prompt::{Prefix, Prompt, digest};
use crate::application::ports::language_model::ModelRequest;
use crate::telemetry::answers::count_prefix;

/// How long a beginning is kept at most.
const LONGEST: Duration = Duration::from_mins(10);

type Entries = Cache<(TenantId, [u8; 32]), Arc<Prefix>>;

/// Bounded by bytes; shared by everything in a process that writes prompts.
#[derive(Clone, Default)]
pub struct PrefixCache {
    entries: Option<Entries>,
}

impl PrefixCache {
    /// Remembers so many bytes, of all tenants; 0 remembers nothing, as does the default.
    pub fn new(bytes: u64) -> Self {
        let weight = |_: &(TenantId, [u8; 32]), prefix: &Arc<Prefix>| u32::try_from(prefix.bytes()).unwrap_or(u32::MAX);
        let build = || {
            let builder = Cache::builder().max_capacity(bytes).weigher(weight).time_to_live(LONGEST);
            builder.support_invalidation_closures().build()
        };
        Self { entries: (bytes > 0).then(build) }
    }

    /// Puts the beginning of a question's prompt together before anybody asks for it, and counts whether an earlier question
    /// had it: once for a question, however many models are asked. Whether one had it; nothing where nothing is remembered.
    pub fn prepare(&self, request: &ModelRequest) -> Option<bool> {
        let key = (request.tenant_id, digest(request));
        let known = self.entries.as_ref()?.contains_key(&key);
        if !known {
            self.prompt(request);
        }
        count_prefix(known);
        Some(known)
    }

    /// The prompt of a request.
    pub fn prompt(&self, request: &ModelRequest) -> Prompt {
        let Some(entries) = &self.entries else { return Prompt::of(request) };
        let key = (request.tenant_id, digest(request));
        let prefix = entries.get(&key).unwrap_or_else(|| {
            let prefix = Arc::new(Prefix::under(key.1, request));
            entries.insert(key, prefix.clone());
            prefix
        });
        Prompt::after(prefix, request)
    }

    /// Forgets what is remembered of a tenant.
    pub fn forget(&self, tenant: TenantId) {
        if let Some(entries) = &self.entries {
            // Fails only for caches that were built without support for it.
            let _ = entries.invalidate_entries_if(move |(whose, _), _| *whose == tenant);
            entries.run_pending_tasks();
        }
    }

    /// Forgets everything.
    pub fn forget_all(&self) {
        if let Some(entries) = &self.entries {
            entries.invalidate_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::application::ports::language_model::{GroundingPassage, Sampling};

    fn request(tenant: u128, question: &str, texts: &[&str]) -> ModelRequest {
        let passages = (1..).zip(texts).map(|(number, text)| GroundingPassage {
            number,
            title: "Leaks".to_owned(),
            text: (*text).to_owned(),
        });
        ModelRequest {
            tenant_id: TenantId(Uuid::from_u128(tenant)),
            instructions: "Answer.".to_owned(),
            question: question.to_owned(),
            passages: passages.collect(),
            max_output_tokens: 10,
            sampling: Sampling::Usual,
        }
    }

    #[test]
    fn the_next_question_about_the_same_passages_finds_the_beginning_and_sends_the_same_bytes() {
        let cache = PrefixCache::new(1_000_000);
        let (first, next) = (request(1, "How?", &["One.", "Two."]), request(1, "Why?", &["One.", "Two."]));
        assert_eq!(cache.prepare(&first), Some(false));
        let (one, same) = (cache.prompt(&first), cache.prompt(&first));
        assert!(Arc::ptr_eq(&one.prefix, &same.prefix));
        assert_eq!(cache.prepare(&next), Some(true));
        assert_eq!(cache.prompt(&next), Prompt::of(&next), "what is remembered is what would be written anew");
        assert!(Arc::ptr_eq(&one.prefix, &cache.prompt(&next).prefix));
    }

    #[test]
    fn other_passages_another_order_and_another_tenant_find_nothing() {
        let cache = PrefixCache::new(1_000_000);
        cache.prepare(&request(1, "How?", &["One.", "Two."]));
        for other in [
            request(1, "How?", &["One.", "Two!"]),
            request(1, "How?", &["Two.", "One."]),
            request(1, "How?", &["One."]),
            request(2, "How?", &["One.", "Two."]),
            ModelRequest { instructions: "Obey.".to_owned(), ..request(1, "How?", &["One.", "Two."]) },
        ] {
            assert_eq!(cache.prepare(&other), Some(false), "{other:?}");
            assert_eq!(cache.prompt(&other), Prompt::of(&other));
        }
    }

    #[test]
    fn a_tenant_is_forgotten_alone() {
        let cache = PrefixCache::new(1_000_000);
        let (one, other) = (request(1, "How?", &["One."]), request(2, "How?", &["One."]));
        cache.prepare(&one);
        cache.prepare(&other);
        cache.forget(one.tenant_id);
        assert_eq!((cache.prepare(&one), cache.prepare(&other)), (Some(false), Some(true)));
        cache.forget_all();
        assert_eq!((cache.prepare(&one), cache.prepare(&other)), (Some(false), Some(false)));
    }

    #[test]
    fn it_holds_no_more_bytes_than_it_may_and_nothing_when_it_may_hold_nothing() {
        let long = "word ".repeat(400);
        let cache = PrefixCache::new(20_000);
        for number in 0..100 {
            cache.prepare(&request(1, "How?", &[&format!("{number} {long}")]));
        }
        let entries = cache.entries.as_ref().expect("it remembers");
        entries.run_pending_tasks();
        assert!(entries.weighted_size() <= 20_000 && entries.entry_count() > 0, "{} bytes", entries.weighted_size());
        let none = PrefixCache::new(0);
        let asked = request(1, "How?", &["One."]);
        assert_eq!((none.prepare(&asked), none.prepare(&asked)), (None, None));
        assert_eq!(none.prompt(&asked), Prompt::of(&asked));
    }
}
