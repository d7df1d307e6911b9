//! The router: every route of the API, and its OpenAPI document, from one list.

use utoipa::OpenApi;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, Required};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::ProblemBody;
use super::problem_responses::with_problems;
use super::state::ApiState;
use super::{
    admission, answers, api_keys, audit, budget, calendar, case_list, cases, checkpoints, deprecated, documents,
    events, evidence, evidence_content, jobs, links, notes, outbox, principals, register_entries, search, tenants,
    transitions, webhooks,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "docket",
        description = "A regulatory case tracker: audited, idempotent, observable. Errors are RFC 9457 problem details.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody)),
    tags(
        (name = "cases", description = "Cases and their life cycle"),
        (name = "evidence", description = "Files attached to cases"),
        (name = "audit", description = "The tamper-evident trail: reading, verifying, sealing"),
        (name = "tenancy", description = "Tenants, principals and API keys"),
        (name = "events", description = "What changed, in order"),
        (name = "webhooks", description = "Being told of events by HTTP: endpoints, secrets, delivery log"),
        (name = "outbox", description = "Deliveries that wait or were given up"),
        (name = "knowledge", description = "Documents: search them, ask them, and what that costs"),
        (name = "documents", description = "What questions are answered from: bring in, watch, take out"),
        (name = "jobs", description = "Durable background work: enqueue, watch, cancel, redrive")
    )
)]
struct Skeleton;

/// Says how callers authenticate and whom they act for: every operation wants a bearer credential, and programs may name
/// somebody with each write.
fn with_security(mut document: Document) -> Document {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key (`dk_...`) or, where configured, an OIDC token"))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    document.security = Some(vec![SecurityRequirement::new("bearer", Vec::<String>::new())]);
    for item in document.paths.paths.values_mut() {
        let writes = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in writes.into_iter().flatten() {
            operation.parameters.get_or_insert_default().push(on_behalf_of().into());
        }
    }
    document
}

const ACTING_FOR: &str = "Principals of kind `service` only: the principal of the same tenant they act for. Goes into the \
                          audit trail and grants nothing";

/// The header by which programs name the person they act for.
fn on_behalf_of() -> Parameter {
    let uuid = Some(SchemaFormat::KnownFormat(KnownFormat::Uuid));
    ParameterBuilder::new()
        .name("Docket-On-Behalf-Of")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(ACTING_FOR))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).format(uuid)))
        .build()
}

/// The API's routes without middleware, and the document that describes them.
pub fn api(state: ApiState) -> (axum::Router, Document) {
    let (router, document) = routes().split_for_parts();
    let admit = axum::middleware::from_fn_with_state(state.clone(), admission::admit);
    (router.route_layer(admit).with_state(state), with_problems(with_security(document)))
}

/// The document alone, for whoever has no service running.
pub fn document() -> Document {
    with_problems(with_security(routes().into_openapi()))
}

#[allow(deprecated, reason = "deprecated routes are served until their sunset")]
fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::<ApiState>::with_openapi(Skeleton::openapi())
        .routes(routes!(cases::post_case, case_list::list_cases))
        .routes(routes!(deprecated::search_cases))
        .routes(routes!(cases::get_case, cases::patch_case, cases::remove_case))
        .routes(routes!(transitions::post_transition))
        .routes(routes!(transitions::get_actions))
        .routes(routes!(transitions::put_assignment))
        .routes(routes!(transitions::post_note, notes::list_notes))
        .routes(routes!(notes::get_note))
        .routes(routes!(transitions::post_link, links::list_links))
        .routes(routes!(links::get_link))
        .routes(routes!(register_entries::list_register_entries))
        .routes(routes!(audit::get_case_trail))
        .routes(routes!(audit::verify_case))
        .routes(routes!(audit::get_administrative_trail))
        .routes(routes!(audit::verify_tenant))
        .routes(routes!(checkpoints::create_checkpoint, checkpoints::list_checkpoints))
        .routes(routes!(checkpoints::get_public_key))
        .routes(routes!(events::list_events))
        .routes(routes!(evidence::post_evidence, evidence::get_evidence_list))
        .routes(routes!(evidence::get_evidence))
        .routes(routes!(evidence_content::get_evidence_content))
        .routes(routes!(documents::post_document, documents::list_documents))
        .routes(routes!(documents::get_document, documents::delete_document))
        .routes(routes!(documents::list_passages))
        .routes(routes!(documents::list_collections))
        .routes(routes!(jobs::post_job, jobs::get_jobs))
        .routes(routes!(jobs::get_job))
        .routes(routes!(jobs::cancel_job))
        .routes(routes!(jobs::redrive_job))
        .routes(routes!(jobs::redrive_jobs))
        .routes(routes!(jobs::list_job_kinds))
        .routes(routes!(tenants::post_tenant, tenants::list_tenants))
        .routes(routes!(tenants::get_tenant, tenants::patch_tenant))
        .routes(routes!(principals::post_principal, principals::list_principals))
        .routes(routes!(principals::get_principal, principals::patch_principal))
        .routes(routes!(api_keys::post_api_key, api_keys::list_api_keys))
        .routes(routes!(api_keys::get_api_key, api_keys::delete_api_key))
        .routes(routes!(api_keys::post_rotation))
        .routes(routes!(principals::get_whoami))
        .routes(routes!(calendar::get_calendar, calendar::put_calendar))
        .routes(routes!(budget::get_budget, budget::put_budget))
        .routes(routes!(webhooks::post_webhook, webhooks::list_webhooks))
        .routes(routes!(webhooks::get_webhook, webhooks::patch_webhook, webhooks::delete_webhook))
        .routes(routes!(webhooks::post_secret_rotation))
        .routes(routes!(webhooks::post_replay))
        .routes(routes!(webhooks::post_test))
        .routes(routes!(webhooks::list_attempts))
        .routes(routes!(outbox::list_waiting))
        .routes(routes!(outbox::post_redrive))
        .routes(routes!(outbox::get_waiting))
        .routes(routes!(outbox::post_skip))
        .routes(routes!(search::post_search))
        .routes(routes!(answers::post_answer))
        .routes(routes!(answers::get_answer))
        .routes(routes!(answers::put_feedback))
        .routes(routes!(answers::list_feedback))
        .routes(routes!(answers::get_usage))
}
