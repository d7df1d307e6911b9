//! Reading kept answers, and judging them: feedback is kept and can be exported as cases for an evaluation.

use docket_domain::case::visibility::Sight;
use docket_domain::ids::PrincipalId;
use docket_domain::principal::{Role, Roles, Scope};
use uuid::Uuid;

use super::answering::Answering;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::answer_store::{Feedback, JudgedAnswer, KeptAnswer};
use crate::application::request::Caller;

/// The longest comment, in characters.
pub const COMMENT_MAX: usize = 2_000;
/// Who may export what readers thought.
const READS_FEEDBACK: Roles = Roles::of(&[Role::Supervisor, Role::Auditor, Role::Admin, Role::System]);

/// A judgment as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgment {
    /// 0 for the answer as a whole, else the number of a citation.
    pub citation: u16,
    /// Whether it helped.
    pub helpful: bool,
    /// In words.
    pub comment: Option<String>,
}

/// An answer of the caller's own. Whoever may no longer see what it was made from is told that there is none.
pub async fn read_answer(answering: &Answering, caller: &Caller, id: Uuid) -> Result<KeptAnswer, UseCaseError> {
    caller.require_scope(Scope::KnowledgeRead)?;
    let kept = answering.answers.get(caller.actor.tenant_id, id).await?;
    let own = |kept: &KeptAnswer| {
        kept.principal_id == caller.actor.principal_id && Sight::of(&caller.actor).covers(kept.confidentiality)
    };
    kept.filter(own).ok_or(UseCaseError::NotFound("answer"))
}

/// Keeps a judgment on an answer of the caller's own; the same caller's next one on the same thing replaces it.
pub async fn judge_answer(
    answering: &Answering,
    caller: &Caller,
    id: Uuid,
    judgment: Judgment,
) -> Result<(), UseCaseError> {
    let kept = read_answer(answering, caller, id).await?;
    let body: serde_json::Value = serde_json::from_str(&kept.body).unwrap_or_default();
    let citations = body["citations"].as_array().map_or(0, Vec::len);
    if usize::from(judgment.citation) > citations {
        let detail = format!("must be 0 (the whole answer) or the number of one of its {citations} citation(s)");
        return Err(UseCaseError::Invalid(vec![Invalid::new("/citation", detail)]));
    }
    let feedback = Feedback {
        answer_id: id,
        principal_id: caller.actor.principal_id,
        citation: judgment.citation,
        helpful: judgment.helpful,
        comment: judgment.comment,
        now: answering.clock.now(),
    };
    Ok(answering.answers.judge(caller.actor.tenant_id, &feedback).await?)
}

/// Judgments of the tenant with their answers, except of answers made from what the caller may not see.
pub async fn export_feedback(
    answering: &Answering,
    caller: &Caller,
    after: Option<(Uuid, PrincipalId, u16)>,
    limit: u32,
) -> Result<Vec<JudgedAnswer>, UseCaseError> {
    caller.require_scope(Scope::KnowledgeRead)?;
    if !caller.actor.roles.intersects(READS_FEEDBACK) {
        return Err(UseCaseError::Forbidden("feedback is read by supervisors, auditors and administrators".to_owned()));
    }
    Ok(answering.answers.judged(caller.actor.tenant_id, Sight::of(&caller.actor), after, limit).await?)
}
