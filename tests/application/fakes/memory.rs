//! Cases in memory, held to the same contract as PostgreSQL by `case_store_contract`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use docket::application::ports::case_store::{
    Attachment, CaseStore, CaseWrite, Commit, KeyScope, Loaded, NewEvent, RowChange, StoredAnswer, StoredCase,
};
use docket::application::ports::job_store::NewJob;
use docket::application::ports::{Clock, StoreError};
use docket::application::request::Rendered;
use docket_domain::audit::AuditRecord;
use docket_domain::case::LinkKind;
use docket_domain::idempotency::Fingerprint;
use docket_domain::ids::{CaseId, PrincipalId, TenantId};
use time::OffsetDateTime;

use super::FrozenClock;

type AnswerKey = (TenantId, PrincipalId, String);

/// Something that happens between a load and the commit that follows it: another request, say.
type Meanwhile = Box<dyn FnOnce(&mut Contents) + Send>;

/// Everything that is kept.
#[derive(Default)]
pub struct Contents {
    pub cases: HashMap<(TenantId, CaseId), StoredCase>,
    pub answers: HashMap<AnswerKey, KeptAnswer>,
    pub audit: Vec<AuditRecord>,
    pub events: Vec<NewEvent>,
    pub attachments: Vec<(AuditRecord, Attachment)>,
    pub enqueued: Vec<NewJob>,
    pub commits: u32,
    pub forgotten: u32,
    in_flight: HashSet<AnswerKey>,
    stale: u32,
    meanwhile: Vec<Meanwhile>,
    clock: Arc<FrozenClock>,
}

/// An answer under its key.
#[derive(Clone)]
pub struct KeptAnswer {
    pub fingerprint: Fingerprint,
    pub rendered: Rendered,
    /// By the store's clock.
    pub expires_at: OffsetDateTime,
}

/// [`CaseStore`] in memory.
#[derive(Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
}

impl MemoryStore {
    /// A store that keeps time by this clock.
    pub fn new(clock: Arc<FrozenClock>) -> Self {
        Self { contents: Mutex::new(Contents { clock, ..Contents::default() }) }
    }

    /// For looking behind.
    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    /// Lets the next commits find that their case moved.
    pub fn stale_commits(&self, times: u32) {
        self.contents().stale = times;
    }

    /// Lets a key be held by a request that is still running.
    pub fn hold_key(&self, tenant: TenantId, principal: PrincipalId, key: &str) {
        self.contents().in_flight.insert((tenant, principal, key.to_owned()));
    }

    /// Does something just before the next commit; later calls come before the commits after that.
    pub fn meanwhile(&self, act: impl FnOnce(&mut Contents) + Send + 'static) {
        self.contents().meanwhile.insert(0, Box::new(act));
    }
}

impl Contents {
    fn answer(&self, key: &AnswerKey) -> Option<StoredAnswer> {
        let KeptAnswer { fingerprint, rendered, expires_at } = self.answers.get(key)?;
        let expired = *expires_at <= self.clock.now();
        Some(StoredAnswer { fingerprint: *fingerprint, rendered: rendered.clone(), expired })
    }

    fn has_reference(&self, tenant: TenantId, reference: &str) -> bool {
        self.cases.iter().any(|(key, stored)| key.0 == tenant && stored.case.reference == reference)
    }

    fn has_link(&self, place: (TenantId, CaseId), target: CaseId, kind: LinkKind) -> bool {
        self.attachments.iter().any(|(record, row)| {
            matches!(row, Attachment::Link { target: other, kind: known, .. } if *other == target && *known == kind)
                && (record.tenant_id, record.case_id) == (place.0, Some(place.1))
        })
    }

    /// The outcome, judged before anything is changed.
    fn judge(&self, write: &CaseWrite, key: Option<&AnswerKey>) -> Commit {
        let place = (write.case.tenant_id, write.case.id);
        if key.is_some_and(|key| self.in_flight.contains(key)) {
            return Commit::KeyInFlight;
        }
        if write.change == RowChange::Insert {
            if self.has_reference(place.0, &write.case.reference) {
                return Commit::ReferenceTaken;
            }
        } else {
            let current = self.cases.get(&place).map(|stored| (stored.case.version, stored.head));
            if current != Some(write.decided_on) {
                return Commit::Stale;
            }
        }
        if key.is_some_and(|key| self.answers.contains_key(key)) {
            return Commit::KeyTaken;
        }
        for row in &write.attachments {
            if let Attachment::Link { target, kind, .. } = row {
                if self.has_link(place, *target, *kind) {
                    return Commit::LinkExists;
                }
                if !self.cases.contains_key(&(place.0, *target)) {
                    return Commit::NoSuchTarget;
                }
            }
        }
        Commit::Done
    }

    /// Commits as the store would, for a test that plays the other request.
    pub fn commit(&mut self, write: &CaseWrite) -> Commit {
        let place = (write.case.tenant_id, write.case.id);
        let answer = write.answer.as_ref();
        let key = answer.map(|answer| (place.0, answer.principal_id, answer.key.as_str().to_owned()));
        let outcome = self.judge(write, key.as_ref());
        if outcome != Commit::Done {
            return outcome;
        }
        match write.change {
            RowChange::Delete => {
                self.cases.remove(&place);
            }
            RowChange::ChainOnly => {
                if let Some(stored) = self.cases.get_mut(&place) {
                    stored.head = write.head;
                }
            }
            RowChange::Insert | RowChange::Lifecycle | RowChange::Fields => {
                self.cases.insert(place, StoredCase { case: write.case.clone(), head: write.head });
            }
        }
        self.audit.push(write.audit.clone());
        self.events.extend(write.event.clone());
        self.enqueued.extend(write.enqueues.clone());
        self.attachments.extend(write.attachments.iter().map(|row| (write.audit.clone(), row.clone())));
        if let (Some(key), Some(answer)) = (key, answer) {
            let (fingerprint, rendered) = (answer.fingerprint, answer.rendered.clone());
            let expires_at = self.clock.now() + (answer.expires_at - write.audit.occurred_at);
            self.answers.insert(key, KeptAnswer { fingerprint, rendered, expires_at });
        }
        Commit::Done
    }
}

#[async_trait]
impl CaseStore for MemoryStore {
    async fn load(&self, tenant: TenantId, case: CaseId, key: Option<KeyScope<'_>>) -> Result<Loaded, StoreError> {
        let contents = self.contents();
        let case = contents.cases.get(&(tenant, case)).cloned();
        let scope = key.map(|key| (tenant, key.principal_id, key.key.as_str().to_owned()));
        // The answer comes with the case: where there is none, there is nothing to authorize the reader on.
        let answer = scope.filter(|_| case.is_some()).and_then(|scope| contents.answer(&scope));
        Ok(Loaded { case, answer })
    }

    async fn load_answer(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<Option<StoredAnswer>, StoreError> {
        Ok(self.contents().answer(&(tenant, key.principal_id, key.key.as_str().to_owned())))
    }

    /// Everybody can be given a case, but for the one with the greatest id.
    async fn is_assignable(&self, _: TenantId, principal: PrincipalId) -> Result<bool, StoreError> {
        Ok(!principal.0.is_max())
    }

    async fn is_linked(
        &self,
        tenant: TenantId,
        case: CaseId,
        target: CaseId,
        kind: LinkKind,
    ) -> Result<bool, StoreError> {
        Ok(self.contents().has_link((tenant, case), target, kind))
    }

    async fn forget_expired(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<(), StoreError> {
        let mut contents = self.contents();
        let scope = (tenant, key.principal_id, key.key.as_str().to_owned());
        if contents.answer(&scope).is_some_and(|answer| answer.expired) {
            contents.answers.remove(&scope);
            contents.forgotten += 1;
        }
        Ok(())
    }

    async fn commit(&self, write: &CaseWrite) -> Result<Commit, StoreError> {
        let mut contents = self.contents();
        contents.commits += 1;
        if contents.stale > 0 {
            contents.stale -= 1;
            return Ok(Commit::Stale);
        }
        if let Some(act) = contents.meanwhile.pop() {
            act(&mut contents);
        }
        Ok(contents.commit(write))
    }
}
