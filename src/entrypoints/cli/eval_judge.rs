//! The judge of `docket eval answers --judge`: which model may be one, having it judge, and what it says in the end.

use std::fmt::Write as _;

use docket_domain::budget::price::NANOS_PER_DOLLAR;
use docket_domain::ids::TenantId;
use docket_domain::principal::Role;

use super::Failure;
use super::eval::bar;
use crate::application::evaluation::answers::{Graded, caller};
use crate::application::evaluation::judge_report::{JudgeReport, JudgedBy, MeasureAgreement};
use crate::application::evaluation::judged_answers::{Material, judge_answers};
use crate::application::evaluation::model_judge::{Judge, PATIENCE};
use crate::application::knowledge::answering::Answering;
use crate::application::ports::Embedder;
use crate::config::Config;

/// Providers that can judge.
const JUDGES: [&str; 3] = ["openai", "anthropic", "compatible"];

/// Fails unless this provider can be asked, before anything else is done.
pub(super) fn check(config: &Config, provider: &str) -> Result<(), Failure> {
    if provider == "offline" {
        let hint = "name openai, anthropic or compatible; without --judge the grader that goes by words and vectors grades alone";
        let message = "the offline model cannot judge: it quotes sentences of passages and follows no instructions";
        return Err(Failure::usage(message).with_hint(hint));
    }
    if !JUDGES.contains(&provider) {
        let message = format!("there is no provider {provider:?}");
        return Err(Failure::usage(message).with_hint(format!("a judge is one of {}", JUDGES.join(", "))));
    }
    let lacking = config.models.lacking(provider);
    if lacking.is_empty() {
        return Ok(());
    }
    let variable = |key: &String| format!("DOCKET_{}", key.to_uppercase().replace('.', "__"));
    let variables: Vec<String> = lacking.iter().map(variable).collect();
    let message = format!("the judge {provider} cannot be asked: it lacks {}", lacking.join(", "));
    let hint = format!(
        "set this in the configuration, or as {}; models.prices takes [\"MODEL=input/cached read/cached write/output\"], in \
         dollars for a million tokens",
        variables.join(", ")
    );
    Err(Failure::usage(message).with_hint(hint))
}

/// Where answers were made.
pub(super) struct Room<'a> {
    /// By what.
    pub answering: &'a Answering,
    /// Compares meanings.
    pub embedder: &'a dyn Embedder,
    /// Of whose documents.
    pub tenant: TenantId,
}

/// Has the answers judged, so many at once, beside a progress bar.
pub(super) async fn judge(
    room: Room<'_>,
    (provider, judged_by): (&str, Answering),
    (graded, materials): (&mut [Graded], &[Material]),
    at_once: usize,
) -> Result<JudgedBy, Failure> {
    let names = |answering: &Answering| -> Vec<String> {
        answering.models.models().iter().map(|model| model.model().to_owned()).collect()
    };
    let model = names(&judged_by).join(", ");
    let answered_too = names(room.answering).contains(&model);
    let judge = Judge::new(judged_by, caller(room.tenant, Role::Supervisor), &PATIENCE);
    let bar = bar(materials.len(), "judging");
    let judged = judge_answers(&judge, room.embedder, materials, at_once, &mut || bar.inc(1)).await;
    bar.finish_and_clear();
    for (one, judged) in graded.iter_mut().zip(judged.map_err(anyhow::Error::from)?) {
        one.judged = Some(judged);
    }
    Ok(JudgedBy {
        provider: provider.to_owned(),
        model,
        answered_too,
        at_temperature_zero: judge.at_temperature_zero(),
        spent: judge.spent(),
    })
}

/// Who judged, what it cost, what it did not judge, and how far it agrees with the words.
pub(super) fn summary(report: &JudgeReport) -> String {
    let (by, spent) = (&report.by, report.by.spent);
    let mut text = format!("Judged by {} ({})", by.model, by.provider);
    text.push_str(if by.at_temperature_zero { " at temperature 0" } else { ", which takes no temperature" });
    text.push_str(if by.answered_too { ". It answered, too, and may think well of its own words" } else { "" });
    let input = spent.tokens.total() - spent.tokens.output_tokens;
    let estimated =
        if spent.estimated > 0 { format!(", tokens of {} calls estimated", spent.estimated) } else { String::new() };
    // Writing into a string cannot fail.
    let _ = writeln!(
        text,
        ".\n{} calls ({} requests, {} because a reply could not be read), {input} input and {} output tokens, {} dollars{estimated}.",
        spent.calls,
        spent.requests,
        spent.asked_again,
        spent.tokens.output_tokens,
        dollars(spent.cost_nanos)
    );
    let not_judged: usize = report.not_judged.values().sum();
    let _ = write!(text, "{} measures of single answers were judged, {not_judged} were not", report.judged);
    if not_judged > 0 {
        let reasons: Vec<String> = report.not_judged.iter().map(|(why, number)| format!("{why} {number}")).collect();
        let first = report.first_not_judged.as_deref().unwrap_or_default();
        let _ = write!(text, " ({}; the first: {first})", reasons.join(", "));
    }
    text.push_str(".\n\n| words against judge | questions | by words | judged | correlation | verdicts | equal | kappa | only by words | only judged |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for (name, agreement) in &report.agreement {
        let _ = writeln!(text, "| {name} {}", row(agreement));
    }
    text
}

fn row(one: &MeasureAgreement) -> String {
    let figure = |figure: Option<f64>| figure.map_or_else(String::new, |figure| format!("{figure:.3}"));
    let count = |count: usize| if one.verdicts > 0 { count.to_string() } else { String::new() };
    format!(
        "| {} | {:.3} | {:.3} | {} | {} | {} | {} | {} | {} |",
        one.questions,
        one.words,
        one.judge,
        figure(one.correlation),
        count(one.verdicts),
        figure(one.equal),
        figure(one.kappa),
        count(one.only_words),
        count(one.only_judge)
    )
}

fn dollars(nanos: u64) -> String {
    format!("{}.{:06}", nanos / NANOS_PER_DOLLAR, nanos % NANOS_PER_DOLLAR / 1_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::{Sources, load};

    #[test]
    fn a_judge_that_cannot_be_asked_is_refused_with_what_to_set() {
        let mut config = load(&Sources::default()).unwrap().config;
        let told = |config: &Config, provider: &str| check(config, provider).unwrap_err().to_string();
        let offline = told(&config, "offline");
        assert!(offline.contains("cannot judge") && offline.contains("\nhint: name openai"), "{offline}");
        assert!(told(&config, "gpt").contains("one of openai, anthropic, compatible"));
        let lacking = told(&config, "compatible");
        for part in ["models.compatible.base_url", "models.compatible.model", "DOCKET_MODELS__COMPATIBLE__BASE_URL"] {
            assert!(lacking.contains(part), "{lacking}");
        }
        config.models.compatible.base_url = "http://127.0.0.1:1".to_owned();
        config.models.compatible.model = "m".to_owned();
        assert!(told(&config, "compatible").contains("DOCKET_MODELS__PRICES"));
        config.models.prices = vec!["m=1/1/1/1".to_owned()];
        assert_eq!(check(&config, "compatible"), Ok(()));
        assert_eq!(config.models.chain, ["offline"], "who judges need not answer");
    }

    #[test]
    fn money_is_shown_to_the_millionth() {
        assert_eq!((dollars(0).as_str(), dollars(1_234_567_890).as_str()), ("0.000000", "1.234567"));
    }
}
