//! The table of settings: one row each, from which defaults, checks and documentation derive.

use std::net::SocketAddr;
use std::str::FromStr;

use docket_domain::budget::Price;
use figment::value::Value;

use super::network::Network;

/// What values a setting accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// A whole number within both bounds.
    Integer {
        /// The smallest allowed value.
        min: u64,
        /// The largest allowed value.
        max: u64,
    },
    /// A number, possibly with a fraction, within both bounds.
    Number {
        /// The smallest allowed value.
        min: f64,
        /// The largest allowed value.
        max: f64,
    },
    /// `true` or `false`.
    Flag,
    /// Any text that is not empty.
    Text,
    /// Any text, also empty.
    OptionalText,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// An IP address and a port.
    Address,
    /// An absolute URL with one of these schemes, or empty.
    Url(&'static [&'static str]),
    /// A URL whose password must never be shown, with one of these schemes, or empty.
    SecretUrl(&'static [&'static str]),
    /// Text that must never be shown, or empty.
    Secret,
    /// A key as 64 hexadecimal digits that must never be shown, or empty.
    SecretKey,
    /// A list of public keys, each 64 hexadecimal digits.
    PublicKeys,
    /// A path; empty means the given name under `data_dir`.
    PathUnderDataDir(&'static str),
    /// Where evidence bytes live: `file:PATH`, `s3://BUCKET/PREFIX`, or empty for `evidence` under `data_dir`.
    Storage,
    /// A list of IP addresses or CIDR networks.
    Networks,
    /// A list of at least one of these words.
    ListOf(&'static [&'static str]),
    /// A list of `name=word`, the word one of these.
    Pairs(&'static [&'static str]),
    /// A list of `model=input/cached read/cached write/output`, in dollars for a million tokens.
    Prices,
    /// A filter in the syntax of tracing's `EnvFilter`.
    LogFilter,
}

impl Rule {
    /// The allowed values in words.
    pub fn allowed(self) -> String {
        match self {
            Self::Integer { min, max } => format!("whole number from {min} to {max}"),
            Self::Number { min, max } => format!("number from {min} to {max}"),
            Self::Flag => "true or false".to_owned(),
            Self::Text => "text, not empty".to_owned(),
            Self::OptionalText => "text".to_owned(),
            Self::OneOf(words) => words.join(", "),
            Self::Address => "IP address and port, for instance 127.0.0.1:8080".to_owned(),
            Self::Url(schemes) => format!("URL ({}), or empty", schemes.join(", ")),
            Self::SecretUrl(schemes) => format!("secret URL ({}), or empty", schemes.join(", ")),
            Self::Secret => "secret text, or empty".to_owned(),
            Self::SecretKey => "secret, 64 hexadecimal digits, or empty".to_owned(),
            Self::PublicKeys => "list of keys of 64 hexadecimal digits".to_owned(),
            Self::PathUnderDataDir(name) => format!("path; empty means `{name}` under data_dir"),
            Self::Storage => "file:PATH or s3://BUCKET/PREFIX; empty means `evidence` under data_dir".to_owned(),
            Self::Networks => "list of IP addresses or CIDR networks".to_owned(),
            Self::ListOf(words) => format!("list of {}", words.join(", ")),
            Self::Pairs(words) => format!("list of name=word, the word one of {}", words.join(", ")),
            Self::Prices => {
                "list of model=input/cached read/cached write/output, in dollars for a million tokens".to_owned()
            }
            Self::LogFilter => "filter such as info or docket=debug,sqlx=warn".to_owned(),
        }
    }

    /// Whether values must be masked wherever they are shown.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretKey | Self::SecretUrl(_))
    }

    /// Reads the text of an environment variable or flag into the type of this rule. Text that does not fit stays
    /// text, so that [`Rule::accepts`] refuses it with the value as the user wrote it.
    pub fn parse(self, text: &str) -> Value {
        let trimmed = text.trim();
        match self {
            Self::Integer { .. } => trimmed.parse::<u64>().map_or_else(|_| Value::from(text), Value::from),
            Self::Number { .. } => trimmed.parse::<f64>().map_or_else(|_| Value::from(text), Value::from),
            Self::Flag => trimmed.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
            Self::Networks | Self::ListOf(_) | Self::Pairs(_) | Self::Prices | Self::PublicKeys => {
                let list = trimmed.trim_start_matches('[').trim_end_matches(']');
                let items = list.split(',').map(|item| item.trim().trim_matches('"')).filter(|item| !item.is_empty());
                Value::from(items.map(Value::from).collect::<Vec<_>>())
            }
            _ => Value::from(text),
        }
    }

    /// Whether `value` is of the right type and within the range.
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Integer { min, max } => {
                value.to_u128().is_some_and(|n| (u128::from(min)..=u128::from(max)).contains(&n))
                    || value.to_i128().is_some_and(|n| (i128::from(min)..=i128::from(max)).contains(&n))
            }
            Self::Number { min, max } => {
                value.to_num().and_then(|n| as_f64(&n.into())).is_some_and(|n| n >= min && n <= max)
            }
            Self::Flag => value.to_bool().is_some(),
            Self::Networks => value.as_array().is_some_and(|items| {
                items.iter().all(|item| item.as_str().is_some_and(|text| Network::from_str(text).is_ok()))
            }),
            Self::ListOf(words) => value.as_array().is_some_and(|items| {
                let known = |item: &Value| item.as_str().is_some_and(|text| words.contains(&text));
                !items.is_empty() && items.iter().all(known)
            }),
            Self::Pairs(words) => value.as_array().is_some_and(|items| {
                items.iter().all(|item| {
                    let pair = item.as_str().and_then(|text| text.rsplit_once('='));
                    pair.is_some_and(|(name, word)| !name.is_empty() && words.contains(&word))
                })
            }),
            Self::PublicKeys => value.as_array().is_some_and(|items| {
                items.iter().all(|item| item.as_str().is_some_and(|text| thirty_two_bytes(text).is_some()))
            }),
            Self::Prices => value
                .as_array()
                .is_some_and(|items| items.iter().all(|item| item.as_str().is_some_and(|text| price(text).is_some()))),
            _ => value.as_str().is_some_and(|text| !text.contains('\0') && self.accepts_text(text)),
        }
    }

    fn accepts_text(self, text: &str) -> bool {
        match self {
            Self::Text => !text.trim().is_empty(),
            Self::OneOf(words) => words.contains(&text),
            Self::Address => SocketAddr::from_str(text).is_ok(),
            Self::Url(schemes) | Self::SecretUrl(schemes) => {
                text.is_empty() || url::Url::parse(text).is_ok_and(|url| schemes.contains(&url.scheme()))
            }
            Self::SecretKey => text.is_empty() || thirty_two_bytes(text).is_some(),
            Self::Storage => {
                text.is_empty()
                    || text.strip_prefix("file:").is_some_and(|path| !path.is_empty())
                    || text.strip_prefix("s3://").is_some_and(|bucket| !bucket.is_empty() && !bucket.starts_with('/'))
            }
            Self::LogFilter => tracing_subscriber::EnvFilter::try_new(text).is_ok(),
            _ => true,
        }
    }
}

/// 32 bytes as hexadecimal digits.
fn thirty_two_bytes(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

/// A model and its price.
pub(super) fn price(text: &str) -> Option<(String, Price)> {
    let (model, price) = text.rsplit_once('=')?;
    Some((model.to_owned(), price.parse().ok()?)).filter(|(model, _)| !model.is_empty())
}

fn as_f64(value: &Value) -> Option<f64> {
    value.deserialize().ok()
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The section, for instance `server`; empty for settings at the top.
    pub section: &'static str,
    /// The name within the section.
    pub name: &'static str,
    /// The default as a TOML value.
    pub default: &'static str,
    /// What values it accepts.
    pub rule: Rule,
    /// What it does, with its unit.
    pub doc: &'static str,
}

impl Setting {
    /// The dotted key, for instance `server.bind`.
    pub fn key(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }

    /// The environment variable, for instance `DOCKET_SERVER__BIND`.
    pub fn variable(&self) -> String {
        format!("DOCKET_{}", self.key().replace('.', "__").to_uppercase())
    }
}

/// Declares a section: the struct with its documented fields and the rows of the table, from the same words.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:ident = $path:literal {
            $( $(#[doc = $doc:literal])+ $(#[serde($serde:meta)])? $field:ident : $type:ty = $default:literal, $rule:expr; )*
            $( + $(#[doc = $nested_doc:literal])+ $nested:ident : $nested_type:ty; )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $( $(#[doc = $doc])+ $(#[serde($serde)])? pub $field: $type, )*
            $( $(#[doc = $nested_doc])+ pub $nested: $nested_type, )*
        }

        impl $name {
            /// What this section is about.
            pub const ABOUT: &'static str = concat!($($about),+);
            /// The rows of this section.
            pub const SETTINGS: &'static [$crate::config::setting::Setting] = &[
                $( $crate::config::setting::Setting {
                    section: $path, name: stringify!($field), default: $default, rule: $rule, doc: concat!($($doc),+),
                } ),*
            ];
        }
    };
}
pub(crate) use section;
