//! GET /problems and /problems/{slug}: the page behind every problem's `type`, for people and as JSON.

use std::fmt::Write as _;

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::problem::{Problem, ProblemKind};

/// Inline style only; nothing is loaded from anywhere.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

const STYLE: &str = "body{font:1.05rem/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;\
color:#1c2430;background:#fbfbf9}h1{line-height:1.25;margin:.2em 0}code{background:#ececdf;padding:.1em .35em;border-radius:.25em}\
a{color:#0b57a4}.status{color:#666;letter-spacing:.03em}li{margin:.4em 0}\
@media(prefers-color-scheme:dark){body{background:#14181f;color:#e4e7ec}code{background:#262c36}a{color:#7db7f5}.status{color:#9aa4b2}}";

/// The routes of the pages.
pub fn routes() -> Router {
    Router::new().route("/problems", get(list_problems)).route("/problems/{slug}", get(show_problem))
}

async fn list_problems(headers: HeaderMap) -> Response {
    if wants_json(&headers) {
        return axum::Json(ProblemKind::ALL.iter().map(|kind| members(*kind)).collect::<Vec<_>>()).into_response();
    }
    let mut list = String::new();
    for kind in ProblemKind::ALL {
        let (slug, code, title) = (kind.slug(), kind.status().as_u16(), escape(kind.title()));
        let _ = write!(list, "<li><a href=\"/problems/{slug}\">{title}</a> <span class=\"status\">{code}</span></li>");
    }
    let intro = "<p>Every error of this API is an <code>application/problem+json</code> document (RFC 9457). Its \
                 <code>type</code> leads to one of these pages.</p>";
    page("Problems", &format!("<h1>Problems</h1>{intro}<ul>{list}</ul>"))
}

async fn show_problem(Path(slug): Path<String>, headers: HeaderMap) -> Response {
    let Some(kind) = ProblemKind::ALL.iter().copied().find(|kind| kind.slug() == slug) else {
        return Problem::new(ProblemKind::NotFound, "There is no problem of this name; /problems lists them all.")
            .into_response();
    };
    if wants_json(&headers) {
        return axum::Json(members(kind)).into_response();
    }
    let (title, help) = (escape(kind.title()), escape(kind.help()));
    // Code in the help text stands between backticks.
    let help: String = help
        .split('`')
        .enumerate()
        .map(|(at, part)| if at % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() })
        .collect();
    let body = format!(
        "<p class=\"status\">HTTP {}</p><h1>{title}</h1><p>{help}</p><p>The member <code>detail</code> of the answer says \
         what happened this time; quote <code>instance</code> when you ask for help.</p><p><a href=\"/problems\">All problems</a></p>",
        kind.status()
    );
    page(kind.title(), &body)
}

fn members(kind: ProblemKind) -> Value {
    json!({"slug": kind.slug(), "status": kind.status().as_u16(), "title": kind.title(), "help": kind.help()})
}

/// Whether JSON is named before HTML; a browser names HTML first, `curl` neither.
fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match (accept.find("json"), accept.find("html")) {
        (Some(json), Some(html)) => json < html,
        (json, _) => json.is_some(),
    }
}

fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title} - docket</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, html).into_response()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::body::Body;
    use http::{Request, StatusCode};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn get(path: &str, accept: &str) -> (StatusCode, String) {
        let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
        let response = routes().oneshot(request).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_kind_of_problem_has_a_page_and_a_json_form() {
        let (_, list) = get("/problems", "text/html").await;
        for kind in ProblemKind::ALL {
            let path = format!("/problems/{}", kind.slug());
            let (status, html) = get(&path, "text/html,*/*").await;
            assert_eq!(status, StatusCode::OK);
            assert!(html.contains(&escape(kind.title())) && !html.contains("http://") && !html.contains('`'), "{html}");
            assert!(list.contains(&path));
            let (_, json) = get(&path, "application/json").await;
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["slug"], kind.slug());
        }
        assert_eq!(get("/problems/no-such", "text/html").await.0, StatusCode::NOT_FOUND);
    }
}
