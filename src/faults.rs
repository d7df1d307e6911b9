//! Faults seeded on purpose, so that the batteries prove that they can fail. Only with the feature `faults`.
//!
//! `DOCKET_FAULT=name` chooses one for the life of the process. Without the feature every question is answered "no" at
//! compile time, and the compiler removes the code behind it.

/// A promise that can be broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A key is neither looked up nor remembered: a retry is a new operation.
    SkipReplay,
    /// The answer is stored in a statement of its own, after the commit.
    AnswerAfterCommit,
    /// A change is written whatever version it was decided on.
    NoVersionGuard,
    /// The client is told of success before the statement runs.
    AcknowledgeBeforeCommit,
    /// The event is written in a statement of its own, after the commit.
    OutboxAfterCommit,
    /// The tenant stays set on the connection when the transaction is over.
    TenantSettingKept,
    /// The pool works as the owner, whom row-level security does not bind.
    RowSecurityBypassed,
    /// Row-level security is off on one table.
    RowSecurityOffOnOneTable,
    /// Lists and counts hold cases that the caller may not see.
    ListWithoutVisibility,
    /// Nothing marks a key as being in use.
    KeyLockNotTaken,
    /// Audit records are hashed without the record before them.
    AuditNotChained,
    /// A key's answer is given to any request that carries the key.
    ReplayWithoutFingerprint,
    /// A cursor is believed without its signature.
    CursorNotChecked,
    /// A job ends for whoever says so, also for a worker that lost it.
    NoFencing,
    /// The end of a lease is computed from the service's clock.
    LeaseByServiceClock,
    /// Jobs are chosen in one transaction and taken in another, without looking again.
    ClaimOutsideTransaction,
    /// A token for another service is accepted.
    AnyAudience,
    /// A token is believed without its signature.
    TokenSignatureIgnored,
    /// Refused credentials count against nobody.
    GuessesNotCounted,
    /// The relay reads on from the last event's id and does not wait for older transactions.
    RelaySkipsTheHorizon,
    /// Redirects of a webhook receiver are followed.
    WebhookFollowsRedirects,
    /// A failed request to a model is always sent again.
    RetriesWithoutBudget,
    /// Searches and answers are made from passages that the caller may not see.
    PassagesBeyondSight,
    /// What looks like a mark of the prompt is left standing inside of a passage.
    MarksLeftInPassages,
    /// A plugin worker is stopped alone, not with what it started.
    PluginChildrenSurvive,
}

impl Fault {
    /// Every fault, with its name in `DOCKET_FAULT`.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::SkipReplay, "skip_replay"),
        (Self::AnswerAfterCommit, "answer_after_commit"),
        (Self::NoVersionGuard, "no_version_guard"),
        (Self::AcknowledgeBeforeCommit, "acknowledge_before_commit"),
        (Self::OutboxAfterCommit, "outbox_after_commit"),
        (Self::TenantSettingKept, "tenant_setting_kept"),
        (Self::RowSecurityBypassed, "row_security_bypassed"),
        (Self::RowSecurityOffOnOneTable, "row_security_off_on_one_table"),
        (Self::ListWithoutVisibility, "list_without_visibility"),
        (Self::KeyLockNotTaken, "key_lock_not_taken"),
        (Self::AuditNotChained, "audit_not_chained"),
        (Self::ReplayWithoutFingerprint, "replay_without_fingerprint"),
        (Self::CursorNotChecked, "cursor_not_checked"),
        (Self::NoFencing, "no_fencing"),
        (Self::LeaseByServiceClock, "lease_by_service_clock"),
        (Self::ClaimOutsideTransaction, "claim_outside_transaction"),
        (Self::AnyAudience, "any_audience"),
        (Self::TokenSignatureIgnored, "token_signature_ignored"),
        (Self::GuessesNotCounted, "guesses_not_counted"),
        (Self::RelaySkipsTheHorizon, "relay_skips_the_horizon"),
        (Self::WebhookFollowsRedirects, "webhook_follows_redirects"),
        (Self::RetriesWithoutBudget, "retries_without_budget"),
        (Self::PassagesBeyondSight, "passages_beyond_sight"),
        (Self::MarksLeftInPassages, "marks_left_in_passages"),
        (Self::PluginChildrenSurvive, "plugin_children_survive"),
    ];

    /// Whether this is the fault that the process was started with.
    #[cfg(feature = "faults")]
    pub fn is_seeded(self) -> bool {
        use std::sync::OnceLock;
        static CHOSEN: OnceLock<Option<Fault>> = OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let wanted = std::env::var("DOCKET_FAULT").ok()?;
            Self::ALL.iter().find(|(_, name)| *name == wanted).map(|(fault, _)| *fault)
        }) == Some(self)
    }

    /// Never: this build has no faults.
    #[cfg(not(feature = "faults"))]
    pub const fn is_seeded(self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_page_on_testing_shows_how_each_fault_was_caught() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/testing.md")).unwrap();
        for (_, name) in Fault::ALL {
            assert!(page.contains(&format!("\nfault {name} caught by ")), "{name} is missing: make crash-selftest");
        }
        assert_eq!(page.matches("\nfault ").count(), Fault::ALL.len(), "a fault that there is no more");
    }
}
