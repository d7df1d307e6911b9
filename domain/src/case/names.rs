//! The names of the case's states, commands and classifications, as they stand on the wire and in the database.

use crate::named_enum;

named_enum! {
    /// Where a case stands in its life.
    State, "state" {
        /// Being written by its reporter.
        Draft = "draft",
        /// Handed in, waiting for a reviewer.
        Submitted = "submitted",
        /// Being worked on.
        UnderReview = "under_review",
        /// A question is out; the deadline's clock stands still.
        AwaitingInformation = "awaiting_information",
        /// Taken up by a supervisor.
        Escalated = "escalated",
        /// A decision waits for a second pair of eyes.
        DecisionProposed = "decision_proposed",
        /// The decision is approved.
        Decided = "decided",
        /// Finished.
        Closed = "closed",
        /// Taken back before a decision.
        Withdrawn = "withdrawn",
    }
}

impl State {
    /// Whether the case is out of the working lists.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Closed | Self::Withdrawn)
    }
}

named_enum! {
    /// Everything that can be done to an existing case.
    Command, "command" {
        /// Hand a draft in.
        Submit = "submit",
        /// Begin work on a submitted case.
        StartReview = "start_review",
        /// Ask the respondent or reporter something; stops the clock.
        RequestInformation = "request_information",
        /// Record the answer to an open question; starts the clock again.
        ReceiveInformation = "receive_information",
        /// Put the case before a supervisor.
        Escalate = "escalate",
        /// Give an escalated case back to normal review.
        DeEscalate = "de_escalate",
        /// Propose a decision.
        ProposeDecision = "propose_decision",
        /// Approve the proposed decision; never by its proposer.
        ApproveDecision = "approve_decision",
        /// Send a proposal back to review.
        ReturnForRework = "return_for_rework",
        /// Finish a decided case.
        Close = "close",
        /// Take a closed case up again.
        Reopen = "reopen",
        /// Take a case back before it is decided.
        Withdraw = "withdraw",
        /// Extend the deadline, once, before it passes.
        ExtendDeadline = "extend_deadline",
        /// Make someone responsible.
        Assign = "assign",
        /// Add a note.
        AddNote = "add_note",
        /// Attach evidence.
        AddEvidence = "add_evidence",
        /// Link to another case, with a reason.
        Link = "link",
    }
}

named_enum! {
    /// How grave the matter is; sets the deadline.
    Severity, "severity" {
        /// 60 working days.
        Low = "low",
        /// 30 working days.
        Medium = "medium",
        /// 10 working days.
        High = "high",
        /// 3 working days.
        Critical = "critical",
    }
}

named_enum! {
    /// Who inside the tenant may know of the case.
    Confidentiality, "confidentiality" {
        /// Everyone in the tenant.
        Public = "public",
        /// Staff, and the reporter of the case.
        Internal = "internal",
        /// Supervisors, auditors, and the case's own reporter and assignee.
        Restricted = "restricted",
    }
}

named_enum! {
    /// How two cases belong together.
    LinkKind, "link kind" {
        /// They concern related matters.
        RelatesTo = "relates_to",
        /// This case repeats the other.
        Duplicates = "duplicates",
        /// This case follows from the other.
        FollowsFrom = "follows_from",
    }
}
