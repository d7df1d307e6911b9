//! Merges the sources (defaults < file < environment < flags), remembers where each value came from, checks it all.

use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Profile, Provider};

use super::contradictions::contradictions;
use super::invalid::{ConfigErrors, Invalid, nearest_key};
use super::render::{default_toml, show};
use super::sections::{Config, settings};
use super::setting::{Rule, Setting};

/// The file that is read when it exists and no other is named.
pub const DEFAULT_FILE: &str = "docket.toml";
/// Variables with our prefix that are not settings: the file itself, and where the embedded server is installed.
const NOT_SETTINGS: &[&str] = &["DOCKET_CONFIG", "DOCKET_POSTGRES_INSTALL"];
/// Our prefix for variables of the test batteries, never settings.
const BATTERY_PREFIXES: &[&str] = &["DOCKET_CRASH_", "DOCKET_FAULT", "DOCKET_TEST_", "DOCKET_BENCH_"];

/// Where settings come from, weakest first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file that must exist; `None` reads `docket.toml` in the working directory if it is there.
    pub file: Option<PathBuf>,
    /// The environment: names and values.
    pub environment: Vec<(String, String)>,
    /// Command-line flags, in their order.
    pub flags: Vec<Flag>,
}

/// A setting given on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// The flag as people type it, for instance `--bind`.
    pub flag: String,
    /// The key that it sets, for instance `server.bind`.
    pub key: String,
    /// The text of its value.
    pub value: String,
}

impl Sources {
    /// The sources of this process: `file` or `docket.toml`, the process environment, and `flags`.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        Self { file, environment: std::env::vars_os().filter_map(text).collect(), flags }
    }
}

/// One setting as it is in force.
#[derive(Debug, Clone)]
pub struct Effective {
    /// The row of the table.
    pub setting: &'static Setting,
    /// The value as shown to people; secrets masked.
    pub shown: String,
    /// Where it came from, for instance `environment variable DOCKET_SERVER__BIND`.
    pub origin: String,
}

/// A valid configuration and where each of its values came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed settings.
    pub config: Config,
    /// Every setting in the order of the table.
    pub effective: Vec<Effective>,
}

/// One value from one place; figment merges these and remembers the place.
struct Entry {
    key: String,
    value: Value,
    origin: String,
}

impl Provider for Entry {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        Ok(Profile::Default.collect(nested.into_dict().unwrap_or_default()))
    }
}

/// Reads and checks every source.
///
/// # Errors
/// All mistakes at once: unreadable file, unknown keys, wrong types, values out of range, settings that contradict.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigErrors> {
    let mut mistakes = Vec::new();
    let mut figment = Figment::from(Toml::string(&default_toml()));
    figment = merge_file(figment, sources.file.as_deref(), &mut mistakes);
    figment = merge_environment(figment, &sources.environment, &mut mistakes);
    for Flag { flag, key, value } in &sources.flags {
        let origin = format!("flag {flag}");
        if let Some(setting) = settings().find(|setting| setting.key() == *key) {
            figment = figment.merge(Entry { key: key.clone(), value: setting.rule.parse(value), origin });
        } else {
            mistakes.push(Invalid::UnknownKey { key: key.clone(), origin, suggestion: nearest_key(key) });
        }
    }
    let figment = derive_paths(figment);
    let effective = settings().filter_map(|setting| check(&figment, setting, &mut mistakes)).collect();
    if !mistakes.is_empty() {
        return Err(ConfigErrors(mistakes));
    }
    let config: Config = figment.extract().map_err(|error| {
        ConfigErrors(error.into_iter().map(|one| unreadable(&one.path.join("."), &one.kind.to_string())).collect())
    })?;
    let contradictions = contradictions(&config);
    if contradictions.is_empty() { Ok(Loaded { config, effective }) } else { Err(ConfigErrors(contradictions)) }
}

fn unreadable(key: &str, reason: &str) -> Invalid {
    Invalid::Value {
        key: key.to_owned(),
        value: "(not readable)".to_owned(),
        origin: "the merged sources".to_owned(),
        allowed: reason.to_owned(),
    }
}

fn merge_file(figment: Figment, file: Option<&Path>, mistakes: &mut Vec<Invalid>) -> Figment {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && file.is_none() => return figment,
        Err(error) => {
            mistakes.push(Invalid::File { path: path.display().to_string(), reason: error.to_string() });
            return figment;
        }
    };
    let origin = path.display().to_string();
    let table = match Toml::string(&text).data() {
        Ok(profiles) => profiles.into_iter().next().map(|(_, table)| table).unwrap_or_default(),
        Err(error) => {
            mistakes.push(Invalid::File { path: origin, reason: error.to_string() });
            return figment;
        }
    };
    let mut leaves = Vec::new();
    flatten("", &table, &mut leaves);
    leaves.into_iter().fold(figment, |figment, (key, value)| {
        if settings().any(|setting| setting.key() == key) {
            return figment.merge(Entry { key, value, origin: format!("file {origin}") });
        }
        let suggestion = nearest_key(&key);
        mistakes.push(Invalid::UnknownKey { key, origin: format!("file {origin}"), suggestion });
        figment
    })
}

fn flatten(prefix: &str, table: &Dict, leaves: &mut Vec<(String, Value)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner) if !inner.is_empty() => flatten(&key, inner, leaves),
            // The heading of a section under which every setting is commented out.
            Value::Dict(..) if is_section(&key) => {}
            _ => leaves.push((key, value.clone())),
        }
    }
}

fn is_section(key: &str) -> bool {
    settings().any(|setting| setting.key().strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
}

fn merge_environment(mut figment: Figment, variables: &[(String, String)], mistakes: &mut Vec<Invalid>) -> Figment {
    if let Some((_, url)) = variables.iter().find(|(name, _)| name == "DATABASE_URL") {
        let origin = "environment variable DATABASE_URL".to_owned();
        figment = figment.merge(Entry { key: "database.url".to_owned(), value: Value::from(url.as_str()), origin });
    }
    for (name, text) in variables {
        if !name.starts_with("DOCKET_")
            || NOT_SETTINGS.contains(&name.as_str())
            || BATTERY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        {
            continue;
        }
        let origin = format!("environment variable {name}");
        if let Some(setting) = settings().find(|setting| setting.variable() == *name) {
            figment = figment.merge(Entry { key: setting.key(), value: setting.rule.parse(text), origin });
        } else {
            let key = name.trim_start_matches("DOCKET_").replace("__", ".").to_lowercase();
            let named = |key: String| settings().find(|setting| setting.key() == key).map(Setting::variable);
            let suggestion = nearest_key(&key).and_then(named);
            mistakes.push(Invalid::UnknownKey { key: name.clone(), origin: "the environment".to_owned(), suggestion });
        }
    }
    figment
}

/// Fills the paths that were left empty with their place under `data_dir`.
fn derive_paths(mut figment: Figment) -> Figment {
    let data_dir = figment.find_value("data_dir").ok().and_then(Value::into_string).unwrap_or_default();
    for setting in settings() {
        let place = match setting.rule {
            Rule::PathUnderDataDir(name) => format!("{}", Path::new(&data_dir).join(name).display()),
            Rule::Storage => format!("file:{}", Path::new(&data_dir).join("evidence").display()),
            _ => continue,
        };
        let key = setting.key();
        if figment.find_value(&key).is_ok_and(|value| value.as_str() == Some("")) {
            figment =
                figment.merge(Entry { key, value: Value::from(place), origin: "default, under data_dir".to_owned() });
        }
    }
    figment
}

fn check(figment: &Figment, setting: &'static Setting, mistakes: &mut Vec<Invalid>) -> Option<Effective> {
    let key = setting.key();
    let value = figment.find_value(&key).ok()?;
    let name = figment.get_metadata(value.tag()).map(|metadata| metadata.name.to_string());
    let origin = name.filter(|name| name != "TOML source string").unwrap_or_else(|| "default".to_owned());
    let shown = show(setting.rule, &value);
    if !setting.rule.accepts(&value) {
        mistakes.push(Invalid::Value { key, value: shown, origin, allowed: setting.rule.allowed() });
        return None;
    }
    Some(Effective { setting, shown, origin })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use secrecy::ExposeSecret;

    use super::*;

    /// Sources with this file and environment; never those of the process that runs the tests.
    fn sources(toml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> (tempfile::NamedTempFile, Sources) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), toml).unwrap();
        let flag = |(key, value): &(&str, &str)| {
            let (flag, key, value) = ("--set".to_owned(), (*key).to_owned(), (*value).to_owned());
            Flag { flag, key, value }
        };
        let sources = Sources {
            file: Some(file.path().to_owned()),
            environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            flags: flags.iter().map(flag).collect(),
        };
        (file, sources)
    }

    fn mistakes(toml: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Vec<Invalid> {
        load(&sources(toml, environment, flags).1).unwrap_err().0
    }

    #[test]
    fn the_defaults_are_valid_and_say_so() {
        let (_file, sources) = sources("", &[], &[]);
        let loaded = load(&sources).unwrap();
        assert_eq!(loaded.config.public_url(), "http://127.0.0.1:8080");
        assert!(loaded.config.database.url.is_none() && loaded.config.security.cursor_key.is_none());
        assert!(loaded.effective.iter().all(|one| one.origin.starts_with("default")), "{:?}", loaded.effective);
        assert_eq!(loaded.effective.len(), settings().count());
    }

    #[test]
    fn flags_beat_the_environment_beats_the_file_beats_the_default() {
        let toml =
            "data_dir = \"/srv/docket\"\n[server]\nmax_in_flight = 1\nmax_connections = 1\nmax_body_bytes = 2000";
        let environment = [
            ("DOCKET_SERVER__MAX_IN_FLIGHT", "2"),
            ("DOCKET_POSTGRES_INSTALL", "/opt/postgres"),
            ("DOCKET_CRASH_SEED", "7"),
            ("DOCKET_SERVER__MAX_CONNECTIONS", "2"),
            ("DATABASE_URL", "postgres://a:b@plain/x"),
            ("DOCKET_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, 127.0.0.1"),
            ("HOME", "/root"),
        ];
        let (_file, sources) = sources(toml, &environment, &[("server.max_in_flight", "3")]);
        let loaded = load(&sources).unwrap();
        let server = &loaded.config.server;
        assert_eq!((server.max_in_flight, server.max_connections, server.max_body_bytes), (3, 2, 2000));
        assert_eq!(server.trusted_proxies.len(), 2);
        assert_eq!(loaded.config.database.url.as_ref().unwrap().expose_secret(), "postgres://a:b@plain/x");
        assert_eq!(loaded.config.database.embedded_data_dir, Path::new("/srv/docket/postgres"));
        assert_eq!(loaded.config.storage.url, "file:/srv/docket/evidence");
        let origin = |key: &str| loaded.effective.iter().find(|one| one.setting.key() == key).unwrap().origin.clone();
        assert_eq!(origin("server.max_in_flight"), "flag --set");
        assert_eq!(origin("server.max_connections"), "environment variable DOCKET_SERVER__MAX_CONNECTIONS");
        assert!(origin("server.max_body_bytes").starts_with("file /"));
        assert_eq!(origin("database.url"), "environment variable DATABASE_URL");
    }

    #[test]
    fn every_mistake_is_named_at_once_with_key_value_origin_and_range() {
        let toml = "[server]\nbind = \"nowhere\"\nbnd = 1\n[database]\npool_size = \"many\"\n[weather]\nrain = true";
        let environment = [("DOCKET_LIMITS__PAGE_SIZE_MAX", "0"), ("DOCKET_LIMTS__PAGE_SIZE_MAX", "9")];
        let found = mistakes(toml, &environment, &[("telemetry.sample_ratio", "1.5")]);
        let text = ConfigErrors(found.clone()).to_string();
        assert_eq!(found.len(), 7, "{text}");
        assert!(text.contains("limits.page_size_max = 0 (from environment variable DOCKET_LIMITS__PAGE_SIZE_MAX): allowed is whole number from 1 to 1000"), "{text}");
        assert!(text.contains("server.bnd") && text.contains("did you mean server.bind?"), "{text}");
        assert!(text.contains("did you mean DOCKET_LIMITS__PAGE_SIZE_MAX?"), "{text}");
        assert!(text.contains("database.pool_size = \"many\""), "{text}");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let found = mistakes("[limits]\npage_size_default = 300\n[security.oidc]\nenabled = true", &[], &[]);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn a_claim_of_the_relay_outlasts_a_send() {
        for (lease, timeout, fine) in [(2, 1_000, true), (16, 15_000, true), (15, 15_000, false), (60, 120_000, false)]
        {
            let toml = format!("[relay]\nlease_seconds = {lease}\n[webhooks]\ntimeout_ms = {timeout}");
            let (_file, sources) = sources(&toml, &[], &[]);
            assert_eq!(load(&sources).is_ok(), fine, "{lease} s, {timeout} ms");
        }
    }

    #[test]
    fn an_issuer_is_asked_over_https_or_on_this_machine_only() {
        for (issuer, fine) in [
            ("https://id.example", true),
            ("http://127.0.0.1:9000/realm", true),
            ("http://[::1]:9000", true),
            ("http://localhost:9000", true),
            ("http://id.example", false),
            ("http://127.0.0.1.id.example", false),
            ("https://user:word@id.example", false),
            ("https://id.example/?a=b", false),
        ] {
            let toml = format!("[security.oidc]\nenabled = true\naudience = \"docket\"\nissuer = \"{issuer}\"");
            let (_file, sources) = sources(&toml, &[], &[]);
            assert_eq!(load(&sources).is_ok(), fine, "{issuer}");
        }
    }

    #[test]
    fn lists_of_words_take_known_words_only() {
        for (toml, fine) in [
            ("algorithms = [\"ES256\"]", true),
            ("algorithms = []", false),
            ("algorithms = [\"none\"]", false),
            ("algorithms = [\"RS256\", \"HS256\"]", false),
            ("role_names = [\"cn=admins=admin\", \"clerk=reporter\"]", true),
            ("role_names = [\"root=operator\"]", false),
            ("role_names = [\"=admin\"]", false),
        ] {
            let (_file, sources) = sources(&format!("[security.oidc]\n{toml}"), &[], &[]);
            assert_eq!(load(&sources).is_ok(), fine, "{toml}");
        }
        let variable = [("DOCKET_SECURITY__OIDC__ALGORITHMS", "ES256, EdDSA")];
        let (_file, sources) = sources("", &variable, &[]);
        assert_eq!(load(&sources).unwrap().config.security.oidc.algorithms, ["ES256", "EdDSA"]);
    }

    #[test]
    fn a_heading_without_settings_says_nothing_and_an_unknown_one_is_a_mistake() {
        assert!(load(&sources("[server]\n[security.oidc]\n", &[], &[]).1).is_ok());
        let found = mistakes("[serve]\n[data_dir]\n", &[], &[]);
        assert!(matches!(&found[..], [Invalid::UnknownKey { key, .. }, ..] if key == "serve"), "{found:?}");
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_file_that_is_missing_or_no_toml_is_a_mistake() {
        assert!(matches!(mistakes("[server", &[], &[])[0], Invalid::File { .. }));
        let sources = Sources { file: Some("/no/such/file.toml".into()), ..Sources::default() };
        assert!(matches!(load(&sources).unwrap_err().0[0], Invalid::File { .. }));
    }

    #[test]
    fn no_secret_leaves_through_a_mistake_or_a_debug_print() {
        let environment = [("DOCKET_SECURITY__CURSOR_KEY", "hunter2"), ("DATABASE_URL", "mysql://a:hunter2@h/d")];
        let found = mistakes("", &environment, &[]);
        assert_eq!(found.len(), 2);
        assert!(!format!("{found:?} {}", ConfigErrors(found.clone())).contains("hunter2"), "{found:?}");
        let (_file, sources) = sources("", &[("DATABASE_URL", "postgres://a:hunter2@h/d")], &[]);
        assert!(!format!("{:?}", load(&sources).unwrap()).contains("hunter2"));
    }
}
