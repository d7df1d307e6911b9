//! R11: a provider browns out. It answers 500, 429, nonsense, half an answer or nothing at all, while another is well.
//!
//! Held against what both providers saw: nearly everybody gets a whole answer of one of them, in time; nobody gets words of
//! two; a break after the first words is told and never repaired in secret; and the sick one is not asked much more often for
//! being sick. Its pauses run on a clock that is two hundred times too fast, so that breakers open and close all the time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use docket::adapters::http_client::models::{AnthropicModel, Dialect, Endpoint, OpenAiModel, Timeouts};
use docket::adapters::system::SystemRandomness;
use docket::application::models::{ChainSettings, ModelChain, Tab};
use docket::application::ports::language_model::{ModelEvent, ModelRequest, Sampling};
use docket::application::ports::{Clock, LanguageModel};
use docket_domain::ids::TenantId;
use docket_domain::job::RetryPolicy;
use futures::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::model_server::{self, Act, ModelServer, answer, end, head, piece};
use crate::support::report::{Findings, bounded, turn};
use crate::support::settings::{number, random, seed};

/// For a whole answer; generous, because the machine may be busy.
const DEADLINE: Duration = Duration::from_secs(30);
/// Questions asked at the same time.
const AT_ONCE: usize = 16;
const SICK: &str = "the sick one answers";
const WELL: &str = "the well one answers";

struct FastClock(Instant);

impl Clock for FastClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_000) + self.0.elapsed() * 200
    }

    fn new_id(&self) -> Uuid {
        Uuid::nil()
    }
}

fn text(words: &str) -> Act {
    piece(format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{words}\"}}}}]}}\n\n"))
}

fn sick(choice: usize) -> Vec<Act> {
    let first = || text("the sick ");
    match choice {
        0..30 => answer(500, "", "{\"error\":{\"message\":\"boom\"}}"),
        30..35 => answer(429, "retry-after: 1\r\n", "{}"),
        35..40 => answer(429, "", "{}"),
        40..45 => vec![Act::Hang],
        45..50 => vec![head(), Act::Hang],
        50..55 => vec![head(), Act::Cut],
        55..60 => vec![head(), piece("data: {\"choices\":[{\"del"), end()],
        60..65 => vec![head(), piece("data: <html>\n\n"), end()],
        65..68 => vec![head(), first(), Act::Cut],
        68..70 => vec![head(), first(), piece("data: {\"error\":{\"message\":\"late\"}}\n\n"), end()],
        _ => {
            let stop = piece("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n");
            vec![head(), first(), text("one answers"), stop, end()]
        }
    }
}

fn well() -> Vec<Act> {
    model_server::stream(&[
        r#"{"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"the well "}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"one answers"}}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":4}}"#,
        r#"{"type":"message_stop"}"#,
    ])
}

fn endpoint(provider: &str, server: &ModelServer, first_token: Duration) -> Endpoint {
    let timeouts = Timeouts { connect: first_token, first_token, idle: first_token, total: DEADLINE };
    let (provider, model) = (provider.to_owned(), "model".to_owned());
    Endpoint { provider, base_url: server.url(), api_key: None, model, timeouts }
}

/// How one question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Ended {
    BySick,
    ByWell,
    BrokenAfterText,
    Unanswered,
}

async fn ask(chain: &ModelChain, number: usize, findings: &Findings) -> Ended {
    let request = ModelRequest {
        tenant_id: TenantId(Uuid::nil()),
        instructions: "Answer.".to_owned(),
        question: format!("question {number} ends"),
        passages: Vec::new(),
        max_output_tokens: 10,
        sampling: Sampling::Usual,
    };
    let began = Instant::now();
    let asked = chain.stream(&request, began + DEADLINE, &Tab::default()).await;
    let ended = match asked {
        Err(_) => Ended::Unanswered,
        Ok((mut stream, answered)) => {
            let (mut words, mut end) = (String::new(), None);
            while let Some(item) = stream.next().await {
                match item {
                    Ok(ModelEvent::Text(more)) => words.push_str(&more),
                    Ok(ModelEvent::Usage(_)) => {}
                    Ok(ModelEvent::End(_)) => end = Some(true),
                    Err(_) => end = Some(false),
                }
            }
            match (end, words.as_str(), answered.provider.as_str()) {
                (Some(true), SICK, "sick") => Ended::BySick,
                (Some(true), WELL, "well") => Ended::ByWell,
                (Some(false), "the sick ", "sick") => Ended::BrokenAfterText,
                other => {
                    findings.add(format!("question {number} ended as {other:?}"));
                    Ended::Unanswered
                }
            }
        }
    };
    findings.expect(began.elapsed() < DEADLINE + Duration::from_secs(5), || {
        format!("question {number} took {:?}", began.elapsed())
    });
    ended
}

/// Requests that a provider got, and how many questions they were for.
fn load(server: &ModelServer) -> (usize, usize) {
    let mut questions: HashMap<String, usize> = HashMap::new();
    for asked in server.asked() {
        let body = asked.body.to_string();
        let from = body.find("question ").unwrap();
        let question = body[from..].split(" ends").next().unwrap().to_owned();
        *questions.entry(question).or_default() += 1;
    }
    (questions.values().sum(), questions.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nearly_everybody_is_answered_while_a_provider_browns_out() {
    let _turn = turn().await;
    let (seed, questions) = (seed("R11"), usize::try_from(number("DOCKET_CRASH_ANSWERS", 600)).unwrap());
    let dice = random(seed);
    let sick_server = ModelServer::choosing(move |n| sick(dice.part(n as u64).below(100))).await;
    let well_server = ModelServer::playing(well()).await;
    let sick_one = endpoint("sick", &sick_server, Duration::from_millis(400));
    let well_one = endpoint("well", &well_server, Duration::from_secs(20));
    let models: Vec<Arc<dyn LanguageModel>> = vec![
        Arc::new(OpenAiModel::new(sick_one, Dialect::Compatible).unwrap()),
        Arc::new(AnthropicModel::new(well_one).unwrap()),
    ];
    let retry = RetryPolicy { max_attempts: 3, base: Duration::from_millis(20), cap: Duration::from_millis(200) };
    let clock = Arc::new(FastClock(Instant::now()));
    let chain = ModelChain::new(models, ChainSettings { retry }, clock, Arc::new(SystemRandomness));

    let (findings, began) = (Findings::default(), Instant::now());
    let asking = stream::iter(0..questions).map(|number| ask(&chain, number, &findings)).buffer_unordered(AT_ONCE);
    let mut ends: HashMap<Ended, usize> = HashMap::new();
    asking
        .for_each(|ended| {
            *ends.entry(ended).or_default() += 1;
            std::future::ready(())
        })
        .await;
    let count = |ended: Ended| ends.get(&ended).copied().unwrap_or_default();
    let (by_sick, by_well) = (count(Ended::BySick), count(Ended::ByWell));
    let (broken, unanswered) = (count(Ended::BrokenAfterText), count(Ended::Unanswered));
    let ((sick_asked, sick_questions), (well_asked, well_questions)) = (load(&sick_server), load(&well_server));
    println!(
        "R11 seed {seed}: {questions} questions in {:.1?}; {}; {by_sick} answered by the provider that browns out, {by_well} by \
         the other, {broken} broken after the first words and told so; {sick_asked} requests for {sick_questions} questions \
         at the first, {well_asked} for {well_questions} at the second",
        began.elapsed(),
        bounded(unanswered, "unanswered", questions - broken),
    );
    findings.expect(unanswered * 100 <= questions - broken, || format!("{unanswered} of {questions} unanswered"));
    for (name, asked, distinct) in [("first", sick_asked, sick_questions), ("second", well_asked, well_questions)] {
        // Two retries are free before the budget binds.
        findings.expect(asked * 10 <= distinct * 11 + 20, || format!("the {name} got {asked} requests for {distinct}"));
        findings.expect(distinct < 20 || asked * 10 <= distinct * 12, || {
            format!("the {name} got {asked} requests for {distinct} questions, more than 1.2 each")
        });
    }
    findings.expect(by_sick > 0 && by_well > 0, || "one of the providers was never heard".to_owned());
    findings.assert_none();
}
