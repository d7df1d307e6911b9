//! Shows settings to people: the effective values with their origins, the default file, the documentation page.

use std::fmt::Write as _;

use figment::value::Value;

use super::load::Effective;
use super::sections::SECTIONS;
use super::setting::Rule;

/// What stands in place of a secret.
const MASK: &str = "********";

/// `value` in TOML for people; secrets and passwords within URLs are masked.
pub(super) fn show(rule: Rule, value: &Value) -> String {
    match value {
        Value::String(_, text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(_, text) if matches!(rule, Rule::Secret | Rule::SecretKey) => format!("\"{}\"", mask(text)),
        Value::String(_, text) => format!("{:?}", mask_password(text, rule)),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Array(_, items) => {
            let items: Vec<String> = items.iter().map(|item| show(rule, item)).collect();
            format!("[{}]", items.join(", "))
        }
        _ if rule.is_secret() => MASK.to_owned(),
        Value::Num(..) => {
            let whole = value.to_u128().map(|n| n.to_string()).or_else(|| value.to_i128().map(|n| n.to_string()));
            whole.or_else(|| value.to_f64().map(|n| format!("{n:?}"))).unwrap_or_else(|| "(number)".to_owned())
        }
        Value::Char(_, letter) => format!("{:?}", letter.to_string()),
        Value::Dict(..) => "(table)".to_owned(),
        Value::Empty(..) => "(nothing)".to_owned(),
    }
}

fn mask(text: &str) -> &'static str {
    if text.is_empty() { "" } else { MASK }
}

/// Hides the password of a URL; a secret that is not a readable URL is hidden whole.
fn mask_password(text: &str, rule: Rule) -> String {
    match url::Url::parse(text) {
        Ok(mut url) => {
            if url.password().is_some() && url.set_password(Some("***")).is_err() {
                return MASK.to_owned();
            }
            // libpq also reads the password from the query.
            let leaks = url.query_pairs().any(|(name, _)| name.contains("password") || name.contains("secret"));
            if leaks {
                url.set_query(Some("***"));
            }
            if url.password().is_some() || leaks { url.to_string() } else { text.to_owned() }
        }
        Err(_) if rule.is_secret() => MASK.to_owned(),
        Err(_) => text.to_owned(),
    }
}

/// Every effective value with its origin, as TOML with a comment a line.
pub fn effective_text(effective: &[Effective]) -> String {
    let mut text = String::new();
    let mut section = "";
    let widest = effective.iter().map(|one| one.setting.name.len() + 3 + one.shown.len()).max().unwrap_or(0).min(64);
    for one in effective {
        if one.setting.section != section {
            section = one.setting.section;
            let _ = writeln!(text, "\n[{section}]");
        }
        let assignment = format!("{} = {}", one.setting.name, one.shown);
        let _ = writeln!(text, "{assignment:<widest$}  # {}", one.origin);
    }
    text
}

/// The commented default file; reading it gives the defaults.
pub fn default_toml() -> String {
    let mut text =
        "# Every setting of docket with its default. Environment variables and flags go before this file.\n".to_owned();
    for (path, about, rows) in SECTIONS {
        if path.is_empty() {
            let _ = writeln!(text, "#{about}");
        } else {
            let _ = writeln!(text, "\n#{about}\n[{path}]");
        }
        for row in *rows {
            let _ = writeln!(text, "\n#{}\n# Allowed: {}. Variable: {}", row.doc, row.rule.allowed(), row.variable());
            let _ = writeln!(text, "{} = {}", row.name, row.default);
        }
    }
    text
}

/// The page docs/configuration.md.
pub fn markdown() -> String {
    let mut text = "# Configuration\n\nGenerated from the table of settings in `src/config/sections/`; \
        `UPDATE_DOCS=1 cargo test configuration_page` writes it again.\n\n\
        Sources, the later one wins: built-in default, `docket.toml` in the working directory (or `--config FILE`), environment variable, \
        command-line flag. `DATABASE_URL` sets `database.url`, too.\n\n\
        `docket config` prints every effective value with its origin, `docket config --default` a commented default file. \
        An unknown key or a value that is not allowed stops the start with exit code 2 and names all mistakes at once.\n"
        .to_owned();
    for (path, about, rows) in SECTIONS {
        let title = if path.is_empty() { "top level" } else { path };
        let _ = writeln!(text, "\n## {title}\n\n{}\n", about.trim());
        text.push_str("| key | default | allowed | what it does |\n|---|---|---|---|\n");
        for row in *rows {
            let (key, allowed, doc) = (row.key(), row.rule.allowed().replace('|', "\\|"), row.doc.trim());
            let _ = writeln!(text, "| `{key}`<br>`{}` | `{}` | {allowed} | {doc} |", row.variable(), row.default);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_configuration_page_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == markdown(), "run UPDATE_DOCS=1 cargo test configuration_page");
    }

    #[test]
    fn no_password_is_ever_shown() {
        let shown = |rule: Rule, text: &str| show(rule, &Value::from(text));
        let url = Rule::SecretUrl(&["postgres"]);
        assert_eq!(shown(url, "postgres://docket:hunter2@db/docket"), "\"postgres://docket:***@db/docket\"");
        for text in
            ["postgres://db/x?password=hunter2", "postgres://db/x?sslpassword=hunter2", "hunter2", "a b:hunter2@"]
        {
            assert!(!shown(url, text).contains("hunter2"), "{text}");
        }
        assert!(!shown(Rule::Secret, "hunter2").contains("hunter2"));
        assert!(!shown(Rule::Url(&["http"]), "http://me:hunter2@collector:4318").contains("hunter2"));
    }
}
