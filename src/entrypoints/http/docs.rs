//! `/openapi.json` and the page `/docs` that shows it, from assets inside the binary.

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use utoipa::openapi::{OpenApi, Server};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// Serves the document, with this service as its server, and the page.
pub fn routes(mut document: OpenApi, public_url: &str) -> Router {
    document.servers = Some(vec![Server::new(public_url)]);
    let json = document.to_json().unwrap_or_default();
    let page = SwaggerUi::new("/docs").config(Config::new(["/openapi.json"]).persist_authorization(false));
    let serve = move || {
        let json = json.clone();
        async move { ([(CONTENT_TYPE, "application/json")], json) }
    };
    Router::new().route("/openapi.json", get(serve)).merge(Router::<()>::from(page))
}
