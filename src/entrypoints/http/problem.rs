//! Errors on the wire: RFC 9457 problem details, one kind per documented page under `/problems/{slug}`.
//!
//! A handler returns a [`Problem`]; the middleware `render_problems` turns it into JSON, because only the middleware
//! knows the public base URL and the request id.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};

/// Declares every kind of problem once: variant, slug, status, title and the sentence of its page.
macro_rules! problem_kinds {
    ($($variant:ident = $slug:literal, $status:ident, $title:literal, $help:literal;)*) => {
        /// Every kind of problem that the API can answer with.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind {
            $(#[doc = $title] $variant,)*
        }

        impl ProblemKind {
            /// All kinds, in the order of their pages.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The last segment of the problem's `type` URI.
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            /// The HTTP status that always goes with this kind.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// The constant, human-readable title.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What the reader should do, shown on the problem's page.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

problem_kinds! {
    MalformedRequest = "malformed-request", BAD_REQUEST, "The request is malformed", "The bytes could not be read as the documented format: check the JSON syntax, the encoding (UTF-8) and the headers named in `detail`.";
    IdempotencyKeyMissing = "idempotency-key-missing", BAD_REQUEST, "The Idempotency-Key header is missing", "Send a fresh random Idempotency-Key (a UUID is fine) with each new operation, and the same one with each retry of it.";
    IdempotencyKeyMalformed = "idempotency-key-malformed", BAD_REQUEST, "The Idempotency-Key header is malformed", "Use 1 to 255 visible ASCII characters, and send the header once.";
    InvalidCursor = "invalid-cursor", BAD_REQUEST, "The cursor is not valid for this query", "Use `next` of the previous page unchanged, with the same filter and sort; start again without a cursor if those changed.";
    InvalidQuery = "invalid-query", BAD_REQUEST, "A query parameter is not valid", "See `errors` for the parameter, what was wrong and what is allowed.";
    Unauthenticated = "unauthenticated", UNAUTHORIZED, "Credentials are missing or not valid", "Send `Authorization: Bearer <API key or OIDC token>`; the key may have expired or been revoked.";
    BudgetExhausted = "budget-exhausted", PAYMENT_REQUIRED, "The budget for language models is used up", "Wait for the next month (UTC) or ask an administrator of your tenant to raise the budget (`PUT /v1/budget`).";
    Forbidden = "forbidden", FORBIDDEN, "Your roles or scopes do not allow this", "Ask an administrator of your tenant for the role or scope named in `detail`.";
    NotFound = "not-found", NOT_FOUND, "There is no such resource", "Check the identifier. Resources that you may not know of are answered in the same way.";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The method is not allowed here", "See the Allow header for the methods of this resource.";
    NotAcceptable = "not-acceptable", NOT_ACCEPTABLE, "None of the accepted media types can be produced", "Accept `application/json`.";
    RequestTimeout = "request-timeout", REQUEST_TIMEOUT, "The request took too long", "Send the body faster or retry with the same Idempotency-Key; nothing was stored unless a later replay says so.";
    Conflict = "conflict", CONFLICT, "The command is not allowed in the present state", "`detail` and `guards` say which guard refused; GET the case's actions to see what is possible now.";
    IdempotencyRequestInFlight = "idempotency-request-in-flight", CONFLICT, "A request with this Idempotency-Key is still running", "Wait as long as Retry-After says, then retry with the same key.";
    Duplicate = "duplicate", CONFLICT, "The resource exists already", "`detail` names the field whose value is taken.";
    PreconditionFailed = "precondition-failed", PRECONDITION_FAILED, "Your view of the resource is stale", "GET the resource again, look at what changed, and retry with the new ETag (`current_version`).";
    PayloadTooLarge = "payload-too-large", PAYLOAD_TOO_LARGE, "The request body is too large", "`detail` gives the limit in bytes; it holds before and after decompression.";
    UriTooLong = "uri-too-long", URI_TOO_LONG, "The URI is too long", "Shorten the query.";
    RangeNotSatisfiable = "range-not-satisfiable", RANGE_NOT_SATISFIABLE, "The range lies behind the end", "Ask for bytes below the size that Content-Range tells.";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The media type is not supported", "Send `Content-Type: application/json` (or `multipart/form-data` for uploads).";
    ValidationFailed = "validation-failed", UNPROCESSABLE_ENTITY, "The request is well formed but not valid", "`errors` points to each field with what is wrong and what is allowed.";
    IdempotencyKeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for a different request", "Use a fresh key for a different request; to retry, send exactly the first request again.";
    PreconditionRequired = "precondition-required", PRECONDITION_REQUIRED, "The request needs an If-Match header", "GET the resource and send its ETag, for instance `If-Match: \"v3\"`; `*` is not accepted.";
    TooManyRequests = "too-many-requests", TOO_MANY_REQUESTS, "Too many requests", "Wait as long as Retry-After says; the RateLimit headers tell your allowance.";
    HeadersTooLarge = "headers-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, "The request headers are too large", "Send fewer or shorter headers.";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong on our side", "Retry with the same Idempotency-Key; quote the request id (`instance`) to the operator.";
    ServiceUnavailable = "service-unavailable", SERVICE_UNAVAILABLE, "The service cannot answer right now", "Retry after Retry-After with the same Idempotency-Key; nothing was lost.";
    ModelUnavailable = "model-unavailable", SERVICE_UNAVAILABLE, "No language model could answer", "Retry after Retry-After with the same Idempotency-Key; what the attempt used was charged, and nothing more. If this stays, ask the operator to look at the providers.";
    InsufficientStorage = "insufficient-storage", INSUFFICIENT_STORAGE, "There is no space left to store this", "Retry later with the same Idempotency-Key; the operator has been alerted.";
}

/// One invalid field: where it stands and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the body, or the name of the query parameter.
    pub pointer: String,
    /// What was wrong and what is allowed.
    pub detail: String,
}

/// A problem as clients read it (RFC 9457); extension members may stand beside these.
#[derive(utoipa::ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "documents the answer for OpenAPI")]
pub struct ProblemBody {
    /// Absolute URI of the page that explains this kind of problem.
    r#type: String,
    /// The same for every problem of this kind.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: String,
    /// The request, as a URN.
    instance: String,
    /// The invalid fields, when there are any.
    errors: Option<Vec<FieldError>>,
}

/// A problem on its way out. Build it with [`Problem::new`] and the `with_` methods.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What kind of problem this is; fixes status, title and type.
    pub kind: ProblemKind,
    /// What happened this time, in one or two sentences, without secrets, SQL or stack traces.
    pub detail: String,
    /// The invalid fields, when there are any.
    pub errors: Vec<FieldError>,
    /// Extension members (RFC 9457, section 3.2), for instance `current_version` or `guards`.
    pub extensions: Map<String, Value>,
    /// Headers to send along, for instance `Retry-After`.
    pub headers: HeaderMap,
}

impl Problem {
    /// A problem of `kind` with what happened this time.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), extensions: Map::new(), headers: HeaderMap::new() }
    }

    /// Adds one invalid field.
    #[must_use]
    pub fn with_error(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds an extension member.
    #[must_use]
    pub fn with_extension(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a response header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The JSON members of this problem; `base_url` has no trailing slash, `request_id` becomes the `instance` URN.
    pub fn to_json(&self, base_url: &str, request_id: &str) -> Value {
        let mut members = self.extensions.clone();
        members.insert("type".to_owned(), format!("{base_url}/problems/{}", self.kind.slug()).into());
        members.insert("title".to_owned(), self.kind.title().into());
        members.insert("status".to_owned(), self.kind.status().as_u16().into());
        members.insert("detail".to_owned(), self.detail.clone().into());
        members.insert("instance".to_owned(), format!("urn:docket:request:{request_id}").into());
        if !self.errors.is_empty() {
            members.insert("errors".to_owned(), serde_json::to_value(&self.errors).unwrap_or_default());
        }
        Value::Object(members)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.kind.status().into_response();
        response.headers_mut().extend(self.headers.clone());
        response.extensions_mut().insert(self);
        response
    }
}
