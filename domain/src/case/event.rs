//! Events: what the outside learns of a change, in past tense.

use crate::case::names::Command;
use crate::named_enum;

named_enum! {
    /// The type of an event; on the wire it is prefixed with `docket.`.
    EventType, "event type" {
        /// A case was entered.
        CaseCreated = "case.created",
        /// A case was entered from a file, with its historical state and dates.
        CaseImported = "case.imported",
        /// Fields of a case were changed.
        CaseUpdated = "case.updated",
        /// A case was deleted.
        CaseDeleted = "case.deleted",
        /// A draft was handed in.
        CaseSubmitted = "case.submitted",
        /// Review began.
        CaseReviewStarted = "case.review_started",
        /// A question went out.
        CaseInformationRequested = "case.information_requested",
        /// An answer came in.
        CaseInformationReceived = "case.information_received",
        /// A supervisor took the case up.
        CaseEscalated = "case.escalated",
        /// The case went back to normal review.
        CaseDeEscalated = "case.de_escalated",
        /// A decision was proposed.
        CaseDecisionProposed = "case.decision_proposed",
        /// The decision was approved.
        CaseDecisionApproved = "case.decision_approved",
        /// The proposal went back to review.
        CaseReturnedForRework = "case.returned_for_rework",
        /// The case was finished.
        CaseClosed = "case.closed",
        /// The case was taken up again.
        CaseReopened = "case.reopened",
        /// The case was taken back.
        CaseWithdrawn = "case.withdrawn",
        /// The deadline was extended.
        CaseDeadlineExtended = "case.deadline_extended",
        /// 75 % of the deadline's working time was used up.
        CaseDeadlineWarned75 = "case.deadline_warned_75",
        /// 90 % of the deadline's working time was used up.
        CaseDeadlineWarned90 = "case.deadline_warned_90",
        /// The deadline passed without a decision.
        CaseDeadlineBreached = "case.deadline_breached",
        /// Someone became responsible.
        CaseAssigned = "case.assigned",
        /// A note was added.
        CaseNoteAdded = "case.note_added",
        /// Evidence was attached.
        CaseEvidenceAdded = "case.evidence_added",
        /// The case was linked to another.
        CaseLinked = "case.linked",
        /// The company register was asked about the respondent, and its answer written down.
        CaseEnriched = "case.enriched",
    }
}

impl EventType {
    /// Whether it tells that a deadline moved, comes near or passed: then it says when the case is due.
    pub const fn is_about_deadline(self) -> bool {
        matches!(
            self,
            Self::CaseDeadlineExtended
                | Self::CaseDeadlineWarned75
                | Self::CaseDeadlineWarned90
                | Self::CaseDeadlineBreached
        )
    }
}

impl From<Command> for EventType {
    fn from(command: Command) -> Self {
        match command {
            Command::Submit => Self::CaseSubmitted,
            Command::StartReview => Self::CaseReviewStarted,
            Command::RequestInformation => Self::CaseInformationRequested,
            Command::ReceiveInformation => Self::CaseInformationReceived,
            Command::Escalate => Self::CaseEscalated,
            Command::DeEscalate => Self::CaseDeEscalated,
            Command::ProposeDecision => Self::CaseDecisionProposed,
            Command::ApproveDecision => Self::CaseDecisionApproved,
            Command::ReturnForRework => Self::CaseReturnedForRework,
            Command::Close => Self::CaseClosed,
            Command::Reopen => Self::CaseReopened,
            Command::Withdraw => Self::CaseWithdrawn,
            Command::ExtendDeadline => Self::CaseDeadlineExtended,
            Command::Assign => Self::CaseAssigned,
            Command::AddNote => Self::CaseNoteAdded,
            Command::AddEvidence => Self::CaseEvidenceAdded,
            Command::Link => Self::CaseLinked,
        }
    }
}
