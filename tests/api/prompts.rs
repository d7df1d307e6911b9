//! What a provider is sent: prompts that begin alike for the same passages, and never with passages that are gone, replaced or
//! above whoever asks.

use std::time::Duration;

use docket::config::Config;
use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::model_server::{self, Act, ModelServer};
use crate::sown_document::SownDocument;
use crate::support::{Answer, TestApp};

const OPEN: &str = "An operator reports a leak of gas within 24 hours of its discovery.";
const SECRET: &str = "An informant reports a leak of gas to the number 555-0199 at night.";
const ASKS: [&str; 2] = ["Within how many hours is a leak of gas reported?", "Who reports a leak of gas?"];

const SAYS: [&str; 3] = [
    r#"{"choices":[{"delta":{"content":"A leak of gas is reported within 24 hours [1]."}}]}"#,
    r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":90,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":64}}}"#,
    "[DONE]",
];

struct Scene {
    app: TestApp,
    provider: ModelServer,
}

async fn scene() -> Scene {
    scene_of(model_server::stream(&SAYS), |_| {}).await
}

async fn scene_of(script: Vec<Act>, change: impl FnOnce(&mut Config)) -> Scene {
    let provider = ModelServer::playing(script).await;
    let base_url = provider.url();
    let app = TestApp::start_with(|config| {
        config.models.chain = vec!["compatible".to_owned()];
        config.models.prices = vec!["model=1/1/1/1".to_owned()];
        config.models.compatible.base_url = base_url;
        "model".clone_into(&mut config.models.compatible.model);
        change(config);
    })
    .await;
    Scene { app, provider }
}

impl Scene {
    async fn bring(&self, tenant: usize, text: &str, confidentiality: &str) -> Uuid {
        let owner = self.app.superuser().await;
        let admin = self.app.tenants[tenant].principals[&Role::Admin];
        let id =
            SownDocument { admin, collection: "rules", title: &text[..20], text, confidentiality }.sow(&owner).await;
        owner.close().await;
        id
    }

    /// The instructions with the passages, and the whole content, of the prompt of a question.
    async fn prompt(&self, tenant: usize, role: Role, question: &str) -> (String, String) {
        let before = self.provider.asked().len();
        let key = &self.app.tenants[tenant].keys[&role];
        let request = self.app.request(Method::POST, "/v1/answers", key);
        let request = request.header("idempotency-key", Uuid::new_v4().to_string());
        let answer = Answer::of(request.json(&json!({"question": question}))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let asked = self.provider.asked();
        let Some(asked) = asked.get(before) else { return (String::new(), String::new()) };
        let text = |place: usize| asked.body["messages"][place]["content"].as_str().unwrap().to_owned();
        let (passages, _) =
            text(1).split_once("<question ").map(|(before, after)| (before.to_owned(), after.to_owned())).unwrap();
        (format!("{}{passages}", text(0)), text(1))
    }

    /// Asks until the prompt is as it must be: indexes follow the store.
    async fn until(&self, tenant: usize, role: Role, holds: impl Fn(&str) -> bool) -> String {
        let began = tokio::time::Instant::now();
        loop {
            let (beginning, whole) = self.prompt(tenant, role, ASKS[0]).await;
            if holds(&whole) {
                return beginning;
            }
            assert!(began.elapsed() < Duration::from_secs(40), "{whole}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn prompts_about_the_same_passages_begin_with_the_same_bytes_for_one_tenant_and_rank() {
    let scene = scene().await;
    scene.bring(0, OPEN, "public").await;
    let first = scene.until(0, Role::Reporter, |prompt| prompt.contains(OPEN)).await;
    let (next, whole) = scene.prompt(0, Role::Reporter, ASKS[1]).await;
    assert_eq!(next, first);
    assert!(whole.contains(ASKS[1]) && !whole.contains(ASKS[0]));
    // What the provider read from its cache is charged to the tenant as such, and shown to it.
    let usage = scene.app.get("/v1/usage", Role::Admin).await.json();
    let model = &usage["models"][0];
    let calls = model["calls"].as_u64().unwrap();
    assert_eq!(
        (model["cache_read_tokens"].as_u64(), model["input_tokens"].as_u64()),
        (Some(64 * calls), Some(26 * calls)),
        "{usage}"
    );

    scene.bring(0, SECRET, "restricted").await;
    scene.until(0, Role::Supervisor, |prompt| prompt.contains(SECRET) && prompt.contains(OPEN)).await;
    let (below, _) = scene.prompt(0, Role::Reporter, ASKS[0]).await;
    assert_eq!(below, first, "who sees less gets what it got before");
    assert_eq!(scene.prompt(1, Role::Supervisor, ASKS[0]).await.0, "", "another tenant has no passage, and no prompt");
}

#[tokio::test]
async fn no_prompt_is_made_from_what_was_replaced_or_removed() {
    let scene = scene().await;
    let (gone, stays) =
        (scene.bring(0, OPEN, "public").await, scene.bring(0, "A leak of gas is smelled.", "public").await);
    let both = |prompt: &str| prompt.contains(OPEN) && prompt.contains("smelled");
    scene.until(0, Role::Reporter, both).await;
    scene.until(0, Role::Reporter, both).await;
    let owner = scene.app.superuser().await;
    sqlx::query("DELETE FROM docket.documents WHERE id = $1").bind(gone).execute(&owner).await.unwrap();
    let (_, after) = scene.prompt(0, Role::Reporter, ASKS[0]).await;
    assert!(!after.contains(OPEN) && after.contains("smelled"), "gone at once, whatever is remembered: {after}");
    // The same passage says something else, as after a replacement.
    sqlx::query("UPDATE docket.chunks SET text = 'A leak of gas is heard.' WHERE document_id = $1")
        .bind(stays)
        .execute(&owner)
        .await
        .unwrap();
    let (_, after) = scene.prompt(0, Role::Reporter, ASKS[0]).await;
    assert!(after.contains("heard") && !after.contains("smelled"), "{after}");
    owner.close().await;
}

#[tokio::test]
async fn an_answer_has_the_time_that_it_is_promised_and_not_that_of_other_requests() {
    let mut script = vec![Act::Pause(Duration::from_millis(600))];
    script.extend(model_server::stream(&SAYS));
    let scene = scene_of(script, |config| config.server.request_timeout_ms = 300).await;
    scene.bring(0, OPEN, "public").await;
    // Each question is answered with 201, also those that came before the passage could be found.
    scene.until(0, Role::Reporter, |prompt| prompt.contains(OPEN)).await;
}
