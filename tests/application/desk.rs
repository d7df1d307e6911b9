//! The desk at which the use cases are tried: one tenant, its people, and short ways to ask for things.

use std::sync::Arc;

use docket::application::cases::create_case::create_case;
use docket::application::cases::transition_case::{TransitionCommand, action_name, transition_case};
use docket::application::cases::turns::Turns;
use docket::application::cases::unit_of_work::ChangeRequest;
use docket::application::cases::{Calendars, CaseWriting};
use docket::application::error::{Invalid, UseCaseError};
use docket::application::events::wakeups::Wakeups;
use docket::application::request::{Caller, Claim, IfMatch, Written};
use docket_domain::case::{Case, Command, CommandInput, Confidentiality, NewCase, Severity};
use docket_domain::idempotency::{Fingerprint, IdempotencyKey};
use docket_domain::ids::{CaseId, PrincipalId, TenantId};
use docket_domain::principal::{Actor, PrincipalKind, Role, Roles, Scope};
use time::Duration;
use uuid::Uuid;

use super::fakes::{FrozenClock, MemoryCalendars, MemoryStore, PlainPresenter};

/// What every use case ends with.
pub type Outcome = Result<Written, UseCaseError>;

/// The tenant of these tests.
pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x7e));

/// Somebody of the tenant: the number is the principal.
pub fn caller(principal: u128, roles: &[Role]) -> Caller {
    let actor = Actor {
        tenant_id: TENANT,
        principal_id: PrincipalId(Uuid::from_u128(principal)),
        kind: PrincipalKind::User,
        roles: Roles::of(roles),
        scopes: Scope::ALL.to_vec(),
        on_behalf_of: None,
    };
    let (request_id, trace_id) = (format!("request-{principal}"), "0".repeat(32));
    Caller { actor, request_id, trace_id, traceparent: None }
}

/// Who reports cases here.
pub fn reporter() -> Caller {
    caller(1, &[Role::Reporter])
}

/// Who works on them.
pub fn caseworker() -> Caller {
    caller(2, &[Role::Caseworker])
}

/// Who supervises.
pub fn supervisor() -> Caller {
    caller(3, &[Role::Supervisor])
}

/// A key on a request; the number stands for what the request says.
pub fn claim(key: &str, request: u8) -> Claim {
    Claim { key: IdempotencyKey::parse(key.as_bytes()).unwrap(), fingerprint: Fingerprint([request; 32]) }
}

/// The fields of a public case, complete enough to be submitted.
pub fn new_case(reference: &str) -> NewCase {
    NewCase {
        reference: reference.to_owned(),
        title: "Valve".to_owned(),
        narrative: "It leaked.".to_owned(),
        respondent: "Example Pipelines".to_owned(),
        case_type: "inspection".to_owned(),
        severity: Severity::Medium,
        confidentiality: Confidentiality::Public,
        attributes: serde_json::Map::new(),
    }
}

/// The use cases on fakes.
pub struct Desk {
    pub store: Arc<MemoryStore>,
    pub clock: Arc<FrozenClock>,
    pub calendars: Arc<MemoryCalendars>,
    pub writing: CaseWriting,
}

/// One request for a transition; start from [`ask`].
pub struct Ask<'a> {
    pub caller: Caller,
    pub case: CaseId,
    pub if_match: IfMatch,
    pub claim: Option<Claim>,
    pub command: Command,
    pub input: Result<CommandInput, Vec<Invalid>>,
    pub dry_run: bool,
    pub action: Option<&'a str>,
}

/// A supervisor's well-formed request under a key, having seen version 1.
pub fn ask(case: CaseId, command: Command, key: &str) -> Ask<'static> {
    let text = || Some("text".to_owned());
    let input =
        CommandInput { reason: text(), question: text(), answer: text(), body: text(), ..CommandInput::default() };
    Ask {
        caller: supervisor(),
        case,
        if_match: IfMatch::Version(1),
        claim: Some(claim(key, 1)),
        command,
        input: Ok(input),
        dry_run: false,
        action: None,
    }
}

impl Desk {
    /// An empty desk; answers are remembered for a day.
    pub fn new() -> Self {
        let clock = Arc::new(FrozenClock::new());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let calendars = Arc::new(MemoryCalendars::default());
        let writing = CaseWriting {
            store: store.clone(),
            clock: clock.clone(),
            calendars: Calendars::new(calendars.clone(), std::time::Duration::from_mins(1)),
            key_lifetime: Duration::hours(24),
            wakeups: Wakeups::default(),
            turns: Turns::default(),
        };
        Self { store, clock, calendars, writing }
    }

    /// Creates a case by the use case.
    pub async fn create(&self, caller: &Caller, claim: Option<&Claim>, new: Result<NewCase, Vec<Invalid>>) -> Outcome {
        create_case(&self.writing, caller, claim, new, &PlainPresenter).await
    }

    /// A draft of the reporter's, in place.
    pub async fn draft(&self) -> CaseId {
        self.draft_with(|_| {}).await
    }

    /// A draft of the reporter's with changed fields.
    pub async fn draft_with(&self, change: impl FnOnce(&mut NewCase)) -> CaseId {
        let mut new = new_case(&format!("R-{}", self.store.contents().cases.len()));
        change(&mut new);
        let key = format!("draft-{}", new.reference);
        let written = self.create(&reporter(), Some(&claim(&key, 1)), Ok(new)).await.unwrap();
        serde_json::from_str::<Case>(&written.rendered.body).unwrap().id
    }

    /// Asks for a transition.
    pub async fn transition(&self, ask: Ask<'_>) -> Outcome {
        let action = ask.action.map_or_else(|| action_name(ask.command), str::to_owned);
        let request = ChangeRequest {
            caller: &ask.caller,
            case_id: ask.case,
            if_match: ask.if_match,
            claim: ask.claim.as_ref(),
            dry_run: ask.dry_run,
            presenter: &PlainPresenter,
            action: &action,
            completes: None,
        };
        let command = TransitionCommand { command: ask.command, input: ask.input, file: None };
        transition_case(&self.writing, request, &command).await
    }

    /// The case as it stands.
    pub fn case(&self, id: CaseId) -> Case {
        self.store.contents().cases[&(TENANT, id)].case.clone()
    }

    /// How much is written: audit records, events, answers, rows that hang on cases.
    pub fn written(&self) -> (usize, usize, usize, usize) {
        let contents = self.store.contents();
        (contents.audit.len(), contents.events.len(), contents.answers.len(), contents.attachments.len())
    }
}
