//! Transition a case: any command of the transition table, on any case, by the same path.

use docket_domain::audit::Outcome;
use docket_domain::case::visibility::may_see;
use docket_domain::case::{Case, Command, CommandInput, EventType, LinkKind, Refusal, decide};
use docket_domain::ids::{EvidenceId, LinkId, NoteId};
use docket_domain::principal::Actor;
use time::OffsetDateTime;

use super::unit_of_work::{CaseWriting, ChangeRequest, NO_TARGET, already_linked};
use super::write_draft::Decision;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::case_store::{Attachment, NoteKind, RowChange, StoredCase};
use crate::application::request::Written;

/// A file whose bytes are stored and verified, ready to be attached.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// Their number.
    pub size_bytes: u64,
    /// Their media type, as detected.
    pub media_type: String,
    /// The name to show.
    pub file_name: String,
    /// What it shows.
    pub description: String,
    /// Whether the bytes came with this request; otherwise the tenant stored them before.
    pub fresh: bool,
}

/// A command with what came along; `input` is what was wrong with it when it could not be parsed.
#[derive(Debug, Clone)]
pub struct TransitionCommand {
    /// The command.
    pub command: Command,
    /// Its members, or what was wrong with them (told only after state and role were found in order).
    pub input: Result<CommandInput, Vec<Invalid>>,
    /// The file to attach, for `add_evidence`.
    pub file: Option<StoredFile>,
}

/// Carries out one command on one case.
pub async fn transition_case(
    writing: &CaseWriting,
    request: ChangeRequest<'_>,
    command: &TransitionCommand,
) -> Result<Written, UseCaseError> {
    writing.require_write(&request).await?;
    if request.claim.is_none() && !request.dry_run {
        return Err(UseCaseError::KeyMissing);
    }
    let actor = &request.caller.actor;
    let ids = writing.clock.clone();
    let calendar = writing.calendars.rules(actor.tenant_id).await?;
    let nobody = names_nobody(writing, command, actor).await?;
    let target = link_target(writing, &request, command).await?;
    let authorize = |case: &Case| decide::authorize(case, command.command, actor);
    let outcome = writing
        .change(request, authorize, |case, now| {
            decide::admit(case, command.command, actor).map_err(UseCaseError::refused)?;
            let mut input = command.input.clone().map_err(UseCaseError::Invalid)?;
            let row_id = ids.new_id();
            if command.file.is_some() {
                input.evidence_id = Some(EvidenceId(row_id));
            }
            let next = decide(case, command.command, &input, actor, now, &calendar).map_err(UseCaseError::refused)?;
            if nobody {
                let detail = "must be a principal of your tenant that is not disabled";
                return Err(UseCaseError::Invalid(vec![Invalid::new("/assignee_id", detail)]));
            }
            target.judge()?;
            let attachment = attachment(command, &input, row_id, now, case);
            Ok(Decision {
                change: RowChange::Lifecycle,
                case: next,
                action: action_name(command.command),
                event_type: Some(EventType::from(command.command)),
                reason: input.reason,
                created: attachment.as_ref().map(|_| row_id),
                attachments: attachment.into_iter().collect(),
                enqueues: Vec::new(),
            })
        })
        .await;
    if let (Err(UseCaseError::NotFound(NO_TARGET)), Target::Hidden(hidden)) = (&outcome, target)
        && !request.dry_run
    {
        writing.record_look(request.caller, *hidden, request.action, Outcome::Denied).await?;
    }
    outcome
}

/// What the case is to be linked to.
enum Target {
    /// Nothing, as with every other command; or a case that the actor may see.
    Fine,
    /// The tenant has no such case.
    Nowhere,
    /// The actor may not know of the case: answered like the one before, and recorded with that case.
    Hidden(Box<StoredCase>),
    /// It is linked in this way already. Only looked for in a dry run: otherwise the commit finds out.
    Linked,
}

impl Target {
    fn judge(&self) -> Result<(), UseCaseError> {
        match self {
            Self::Fine => Ok(()),
            Self::Nowhere | Self::Hidden(_) => Err(UseCaseError::NotFound(NO_TARGET)),
            Self::Linked => Err(already_linked()),
        }
    }
}

/// Looks the other case of a link up. Costs a round trip when linking, a second one in a dry run.
async fn link_target(
    writing: &CaseWriting,
    request: &ChangeRequest<'_>,
    command: &TransitionCommand,
) -> Result<Target, UseCaseError> {
    let Ok(CommandInput { target_case_id: Some(id), link_kind, .. }) = &command.input else { return Ok(Target::Fine) };
    if command.command != Command::Link {
        return Ok(Target::Fine);
    }
    let (actor, kind) = (&request.caller.actor, link_kind.unwrap_or(LinkKind::RelatesTo));
    match writing.store.load(actor.tenant_id, *id, None).await?.case {
        None => Ok(Target::Nowhere),
        Some(hidden) if !may_see(actor, &hidden.case) => Ok(Target::Hidden(Box::new(hidden))),
        Some(_) if request.dry_run && writing.store.is_linked(actor.tenant_id, request.case_id, *id, kind).await? => {
            Ok(Target::Linked)
        }
        Some(_) => Ok(Target::Fine),
    }
}

/// Whether the case is to be given to somebody whom the tenant does not have. Costs a round trip when assigning, only then.
async fn names_nobody(writing: &CaseWriting, command: &TransitionCommand, actor: &Actor) -> Result<bool, UseCaseError> {
    let named = command.input.as_ref().ok().and_then(|input| input.assignee_id);
    match named.filter(|_| command.command == Command::Assign) {
        Some(assignee) => Ok(!writing.store.is_assignable(actor.tenant_id, assignee).await?),
        None => Ok(false),
    }
}

/// The name of a command in the audit trail.
pub fn action_name(command: Command) -> String {
    format!("case.{command}")
}

/// Whether a refusal is final for this version of the case, and with which status it is answered.
pub fn refusal_status(refusal: &Refusal) -> u16 {
    if refusal.is_by_role() {
        403
    } else if refusal.input_field().is_some() {
        422
    } else {
        409
    }
}

fn attachment(
    command: &TransitionCommand,
    input: &CommandInput,
    row_id: uuid::Uuid,
    _now: OffsetDateTime,
    _case: &Case,
) -> Option<Attachment> {
    let note =
        |kind, body: &Option<String>| body.clone().map(|body| Attachment::Note { id: NoteId(row_id), kind, body });
    match command.command {
        Command::AddNote => note(NoteKind::Note, &input.body),
        Command::RequestInformation => note(NoteKind::Question, &input.question),
        Command::ReceiveInformation => note(NoteKind::Answer, &input.answer),
        Command::Link => input.target_case_id.map(|target| Attachment::Link {
            id: LinkId(row_id),
            target,
            kind: input.link_kind.unwrap_or(LinkKind::RelatesTo),
            reason: input.reason.clone().unwrap_or_default(),
        }),
        Command::AddEvidence => command.file.clone().map(|file| Attachment::Evidence {
            id: EvidenceId(row_id),
            sha256: file.sha256,
            size_bytes: file.size_bytes,
            media_type: file.media_type,
            file_name: file.file_name,
            description: file.description,
            fresh: file.fresh,
        }),
        _ => None,
    }
}

/// Answers a command that could not be read: existence, replay and precondition come first, then the mistakes.
pub async fn refuse_unreadable(
    writing: &CaseWriting,
    request: ChangeRequest<'_>,
    mistakes: Vec<Invalid>,
) -> Result<Written, UseCaseError> {
    writing.require_write(&request).await?;
    if request.claim.is_none() && !request.dry_run {
        return Err(UseCaseError::KeyMissing);
    }
    writing.change(request, |_| Ok(()), |_, _| Err(UseCaseError::Invalid(mistakes.clone()))).await
}
