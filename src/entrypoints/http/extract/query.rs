//! Query parameters: read by name, every mistake told, unknown and repeated names refused.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use docket_domain::ids::PrincipalId;
use http::request::Parts;
use time::OffsetDateTime;

use crate::application::error::{Invalid, UseCaseError};
use crate::entrypoints::http::form::parse_instant;
use crate::entrypoints::http::problem::Problem;

/// Longest value of a parameter, in bytes.
const VALUE_MAX: usize = 1_000;

/// The query's parameters, being taken out by name.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pairs: BTreeMap<String, String>,
    errors: Vec<Invalid>,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

/// No parameters at all: whoever sends one takes the request for something else than it is. Stands behind [`Authenticated`] in
/// the list of extractors, so that strangers learn nothing but that they are strangers.
///
/// [`Authenticated`]: super::Authenticated
#[derive(Debug, Clone, Copy)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::parse(parts.uri.query().unwrap_or_default()).finish()?;
        Ok(Self)
    }
}

impl Query {
    /// Reads `a=1&b=2`; percent-encoding is undone.
    pub fn parse(query: &str) -> Self {
        let mut read = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let (name, value) = (name.into_owned(), value.into_owned());
            if value.len() > VALUE_MAX || value.contains('\0') || value.contains('\u{fffd}') {
                read.error(&name, format!("must be valid UTF-8 without U+0000, at most {VALUE_MAX} bytes"));
            } else if read.pairs.contains_key(&name) {
                read.error(&name, "was given twice; separate several values with commas");
            }
            read.pairs.insert(name, value);
        }
        read
    }

    /// Notes a mistake at a parameter.
    pub fn error(&mut self, name: &str, detail: impl Into<String>) {
        self.errors.push(Invalid::new(name.chars().take(60).collect::<String>(), detail));
    }

    /// The text of a parameter; an empty value counts as absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.pairs.remove(name).filter(|value| !value.is_empty())
    }

    /// One value of a type that parses from text.
    pub fn value<T>(&mut self, name: &str) -> Option<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(name)?;
        text.parse().map_err(|error: T::Err| self.error(name, error.to_string())).ok()
    }

    /// Several values, separated by commas.
    pub fn values<T>(&mut self, name: &str) -> Vec<T>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        let text = self.text(name).unwrap_or_default();
        let mut values = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()).take(32) {
            match part.parse() {
                Ok(value) => values.push(value),
                Err(error) => self.error(name, T::Err::to_string(&error)),
            }
        }
        values
    }

    /// A principal's id.
    pub fn principal(&mut self, name: &str) -> Option<PrincipalId> {
        let text = self.text(name)?;
        text.parse().map_err(|_| self.error(name, "must be a principal's UUID")).ok()
    }

    /// An instant, RFC 3339.
    pub fn instant(&mut self, name: &str) -> Option<OffsetDateTime> {
        let text = self.text(name)?;
        parse_instant(&text).map_err(|error| self.error(name, error)).ok()
    }

    /// True or false; absent means false.
    pub fn flag(&mut self, name: &str) -> bool {
        match self.text(name).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.error(name, "must be true or false");
                false
            }
        }
    }

    /// The page size: `default` when absent, coerced to `max` when larger.
    pub fn limit(&mut self, default: u32, max: u32) -> u32 {
        let Some(text) = self.text("limit") else { return default };
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let wanted = text.parse::<u32>().unwrap_or(u32::MAX);
            if wanted >= 1 {
                return wanted.min(max);
            }
        }
        self.error("limit", format!("must be a whole number from 1; more than {max} gives {max}"));
        default
    }

    /// Ends reading: parameters that nobody took are mistakes.
    pub fn finish(mut self) -> Result<(), UseCaseError> {
        let unknown: Vec<_> = self.pairs.keys().cloned().collect();
        for name in unknown {
            self.error(&name, "is not a parameter here");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(UseCaseError::InvalidQuery(self.errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_by_name_and_leftovers_are_mistakes() {
        let mut query = Query::parse("state=draft,closed&limit=900&count=true&odd=1&odd=2");
        assert_eq!(query.values::<docket_domain::case::State>("state").len(), 2);
        assert_eq!(query.limit(25, 200), 200);
        assert!(query.flag("count"));
        let Err(UseCaseError::InvalidQuery(errors)) = query.finish() else { panic!("mistakes") };
        assert_eq!(errors.len(), 2, "{errors:?}");
    }

    #[test]
    fn values_that_do_not_parse_are_told() {
        let mut query = Query::parse("state=odd&limit=0&count=maybe&from=yesterday&who=me&nul=%00");
        query.values::<docket_domain::case::State>("state");
        query.limit(25, 200);
        query.flag("count");
        query.instant("from");
        query.principal("who");
        query.text("nul");
        let Err(UseCaseError::InvalidQuery(errors)) = query.finish() else { panic!("mistakes") };
        assert_eq!(errors.len(), 6, "{errors:?}");
    }
}
