//! The rules themselves: each takes one file and answers with findings that say where, what and what to do instead.

use crate::source::Source;

/// The directories that may exist below `src`. A new one is a decision: describe it in docs/architecture.md, then list it.
pub const ROOMS: &[&str] = &[
    "adapters",
    "adapters/bm25",
    "adapters/embedding",
    "adapters/http_client",
    "adapters/http_client/models",
    "adapters/http_client/oidc",
    "adapters/nats",
    "adapters/object_store",
    "adapters/postgres",
    "adapters/postgres/embedded",
    "adapters/postgres/sql",
    "adapters/python",
    "adapters/system",
    "application",
    "application/agents",
    "application/audit",
    "application/bulk",
    "application/cases",
    "application/demo",
    "application/evaluation",
    "application/enrichment",
    "application/events",
    "application/evidence",
    "application/jobs",
    "application/knowledge",
    "application/models",
    "application/ports",
    "application/tenancy",
    "application/webhooks",
    "bootstrap",
    "config",
    "config/sections",
    "entrypoints",
    "entrypoints/cli",
    "entrypoints/cli/drill",
    "entrypoints/http",
    "entrypoints/http/extract",
    "entrypoints/http/middleware",
    "entrypoints/worker",
    "telemetry",
];

/// Files allowed to exceed [`LONGEST_FILE`]. This list only shrinks.
pub const LONG_FILES: &[&str] = &[];

/// The longest file, in lines without its unit tests.
pub const LONGEST_FILE: usize = 400;

/// Each technology lives in one place: crate name, the paths that may use it.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["src/adapters/postgres"]),
    ("pyo3", &["src/adapters/python"]),
    ("reqwest", &["src/adapters/http_client"]),
    ("async_nats", &["src/adapters/nats"]),
    ("jsonwebtoken", &["src/adapters/http_client"]),
    ("axum", &["src/entrypoints/http"]),
    ("tantivy", &["src/adapters/bm25"]),
    ("ort", &["src/adapters/embedding"]),
    ("tokenizers", &["src/adapters/embedding"]),
    // The composition root may name the folder `adapters::object_store`, which looks like the crate.
    ("object_store", &["src/adapters/object_store", "src/bootstrap"]),
];

/// What the domain must never name, with the way out.
const BANNED_IN_DOMAIN: &[(&str, &str)] = &[
    ("tokio", "the domain is synchronous: do the waiting in a use case"),
    ("async", "the domain is synchronous: do the waiting in a use case"),
    ("sqlx", "storage belongs to src/adapters/postgres"),
    ("axum", "HTTP belongs to src/entrypoints/http"),
    ("reqwest", "HTTP clients belong to src/adapters/http_client"),
    ("SystemTime", "take `now` as an argument"),
    ("Instant", "take `now` as an argument"),
    ("now_utc", "take `now` as an argument"),
    ("now_v7", "take the id as an argument"),
    ("new_v4", "take the id as an argument"),
    ("rand", "take the random value as an argument"),
];

/// A rule: one file in, findings out.
pub type Rule = fn(&Source) -> Vec<String>;

/// Every rule that reads one Rust file.
pub const RULES: &[(&str, Rule)] = &[
    ("arrows", arrows),
    ("adapters stay apart", adapters_stay_apart),
    ("technologies stay at home", technologies_stay_at_home),
    ("only bootstrap joins ports and adapters", only_bootstrap_joins),
    ("the domain is pure", domain_is_pure),
    ("files say what they are for", starts_with_module_doc),
    ("files stay short", stays_short),
    ("the library does not print", does_not_print),
];

/// Entrypoints and adapters never name each other; the application names neither.
pub fn arrows(file: &Source) -> Vec<String> {
    let forbidden: &[&str] = match file.path.as_str() {
        path if within(path, "src/entrypoints") => &["adapters"],
        path if within(path, "src/adapters") => &["entrypoints"],
        path if within(path, "src/application") => &["adapters", "entrypoints"],
        _ => &[],
    };
    findings(file, |line| {
        let layer = forbidden.iter().find(|layer| has_word(line, layer))?;
        Some(format!("names `{layer}`: go through a trait in src/application/ports and wire it in src/bootstrap.rs"))
    })
}

/// A technology's folder never names another technology's folder.
pub fn adapters_stay_apart(file: &Source) -> Vec<String> {
    let Some(own) = file.path.strip_prefix("src/adapters/").and_then(|rest| rest.split_once('/')).map(|(own, _)| own)
    else {
        return Vec::new();
    };
    findings(file, |line| {
        let rest = line.split_once("adapters::")?.1;
        let other = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
        (other != own).then(|| format!("names `adapters::{other}`: take a port in the constructor instead"))
    })
}

/// sqlx, pyo3, reqwest, axum and `object_store` are each named by one folder only.
pub fn technologies_stay_at_home(file: &Source) -> Vec<String> {
    if !within(&file.path, "src") {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (name, homes) in HOMES {
        if !homes.iter().any(|home| within(&file.path, home)) {
            found.extend(findings(file, |line| {
                names_crate(line, name).then(|| format!("names `{name}`, which belongs to {}: add a port", homes[0]))
            }));
        }
    }
    found
}

/// Outside the adapters, only the composition root names both a port and an adapter.
pub fn only_bootstrap_joins(file: &Source) -> Vec<String> {
    let exempt = ["src/adapters", "src/bootstrap"].iter().any(|path| within(&file.path, path));
    if exempt || !within(&file.path, "src") || !has_word(&file.code, "ports") {
        return Vec::new();
    }
    findings(file, |line| {
        (has_word(line, "adapters") && !line.trim_start().starts_with("pub mod"))
            .then(|| "joins ports and adapters: only src/bootstrap.rs does that".to_owned())
    })
}

/// The domain knows no runtime, no storage, no clock and no randomness.
pub fn domain_is_pure(file: &Source) -> Vec<String> {
    if !within(&file.path, "domain/src") {
        return Vec::new();
    }
    findings(file, |line| {
        let (word, advice) = BANNED_IN_DOMAIN.iter().find(|(word, _)| has_word(line, word))?;
        Some(format!("names `{word}`: {advice}"))
    })
}

/// The first words of every file say what it is for.
pub fn starts_with_module_doc(file: &Source) -> Vec<String> {
    if file.text.starts_with("//!") {
        return Vec::new();
    }
    vec![format!("{}:1 starts without `//!`: say in one sentence what the file is for", file.path)]
}

/// No file outgrows what one can read in one go.
pub fn stays_short(file: &Source) -> Vec<String> {
    let lines = file.lines_without_tests();
    if lines <= LONGEST_FILE || LONG_FILES.contains(&file.path.as_str()) {
        return Vec::new();
    }
    vec![format!("{}:{lines} exceeds {LONGEST_FILE} lines without tests: split it by noun", file.path)]
}

/// Only the command line writes to the terminal; everything else logs through `tracing`.
pub fn does_not_print(file: &Source) -> Vec<String> {
    if within(&file.path, "src/entrypoints/cli") || file.path == "src/main.rs" {
        return Vec::new();
    }
    findings(file, |line| {
        let name = ["println", "eprintln", "print", "eprint", "dbg"]
            .into_iter()
            .find(|name| word_positions(line, name).any(|at| line[at + name.len()..].starts_with('!')))?;
        Some(format!("calls `{name}!`: use a `tracing` macro"))
    })
}

/// A migration opens with a comment that says why it exists.
pub fn migration_opens_with_comment(file: &Source) -> Vec<String> {
    if file.text.starts_with("--") {
        return Vec::new();
    }
    vec![format!("{}:1 starts without `--`: say in a comment why the migration exists", file.path)]
}

/// Every directory of `src` is a known room.
pub fn unknown_rooms(directories: &[String]) -> Vec<String> {
    let unknown = directories.iter().filter(|directory| !ROOMS.contains(&directory.as_str()));
    unknown
        .map(|room| format!("src/{room} is no known room: use one of {ROOMS:?}, or decide on it and list it"))
        .collect()
}

/// Exceptions whose file no longer needs or has them must leave the list.
pub fn needless_exceptions(files: &[Source], exceptions: &[&str]) -> Vec<String> {
    let still_long =
        |path: &str| files.iter().any(|file| file.path == path && file.lines_without_tests() > LONGEST_FILE);
    let needless = exceptions.iter().filter(|path| !still_long(path));
    needless.map(|path| format!("{path} is short now or gone: remove it from LONG_FILES")).collect()
}

fn findings(file: &Source, judge: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let judged = file.lines().filter_map(|(number, line)| Some((number, judge(line)?)));
    judged.map(|(number, what)| format!("{}:{number} {what}", file.path)).collect()
}

/// Whether `path` is `folder` itself, `folder.rs` or below it.
fn within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

fn has_word(code: &str, word: &str) -> bool {
    word_positions(code, word).next().is_some()
}

fn word_positions<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| !code[..at].ends_with(part_of_name) && !code[at + word.len()..].starts_with(part_of_name))
}

/// A crate is named where its name starts a path (`name::…`) or is imported whole (`use name`).
fn names_crate(line: &str, name: &str) -> bool {
    word_positions(line, name).any(|at| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let imported = before.trim_end().ends_with("use") || before.trim_end().ends_with("crate");
        imported || (after.starts_with("::") && (!before.ends_with("::") || before.trim_end() == "::"))
    })
}
