//! Dates as files write them: by formats that the mapping names, always brought to UTC.

use time::format_description::OwnedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::parsing::Parsed;
use time::{Date, OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// One way to write a date.
#[derive(Debug, Clone)]
pub enum DateFormat {
    /// RFC 3339, for instance `2026-11-21T09:30:00Z`.
    Rfc3339,
    /// As `strftime` names it, for instance `%m/%d/%Y`; midnight UTC where it has no time.
    Pattern(String, OwnedFormatItem),
}

impl DateFormat {
    /// Reads the name of a format: `rfc3339` or a `strftime` pattern.
    pub fn named(name: &str) -> Result<Self, String> {
        if name == "rfc3339" {
            return Ok(Self::Rfc3339);
        }
        if !name.contains('%') {
            return Err(format!("`{name}` is no date format: use `rfc3339` or a pattern such as `%Y-%m-%d`"));
        }
        time::format_description::parse_strftime_owned(name)
            .map(|item| Self::Pattern(name.to_owned(), item))
            .map_err(|error| format!("`{name}` is no date format: {error}"))
    }

    fn name(&self) -> &str {
        match self {
            Self::Rfc3339 => "rfc3339",
            Self::Pattern(name, _) => name,
        }
    }

    fn parse(&self, text: &str) -> Option<OffsetDateTime> {
        match self {
            Self::Rfc3339 => OffsetDateTime::parse(text, &Rfc3339).ok(),
            Self::Pattern(_, item) => {
                let mut parsed = Parsed::new();
                if !parsed.parse_item(text.as_bytes(), item).ok()?.is_empty() {
                    return None;
                }
                OffsetDateTime::try_from(parsed)
                    .or_else(|_| PrimitiveDateTime::try_from(parsed).map(PrimitiveDateTime::assume_utc))
                    .or_else(|_| Date::try_from(parsed).map(|date| date.midnight().assume_utc()))
                    .ok()
            }
        }
    }
}

/// Parses by the first format that fits, to UTC with microsecond precision; the years 1900 to 9999, as the API has it.
pub fn parse(text: &str, formats: &[DateFormat]) -> Result<OffsetDateTime, String> {
    let Some(found) = formats.iter().find_map(|format| format.parse(text)) else {
        let shown: String = text.chars().take(60).collect();
        let names: Vec<_> = formats.iter().map(DateFormat::name).collect();
        return Err(format!("`{shown}` is no date in the format {}", names.join(" or ")));
    };
    let utc = found.checked_to_offset(UtcOffset::UTC).filter(|utc| (1900..=9999).contains(&utc.year()));
    utc.and_then(|utc| utc.replace_microsecond(utc.microsecond()).ok())
        .ok_or_else(|| "must lie between the years 1900 and 9999".to_owned())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn formats(names: &[&str]) -> Vec<DateFormat> {
        names.iter().map(|name| DateFormat::named(name).expect("a format")).collect()
    }

    #[test]
    fn formats_are_tried_in_order_and_end_in_utc() {
        let formats = formats(&["rfc3339", "%Y-%m-%d", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S"]);
        assert_eq!(parse("2026-11-21T01:00:00.1234567+02:00", &formats), Ok(datetime!(2026-11-20 23:00:00.123456 UTC)));
        assert_eq!(parse("2002-01-02", &formats), Ok(datetime!(2002-01-02 0:00 UTC)));
        assert_eq!(parse("12/31/2001", &formats), Ok(datetime!(2001-12-31 0:00 UTC)));
        assert_eq!(parse("2001-12-31 23:59:58", &formats), Ok(datetime!(2001-12-31 23:59:58 UTC)));
    }

    #[test]
    fn impossible_dates_and_formats_are_told() {
        let formats = formats(&["%Y-%m-%d"]);
        for text in ["2002-02-30", "2002-1", "yesterday", "2002-01-02x", "0202-01-02", ""] {
            assert!(parse(text, &formats).is_err(), "{text}");
        }
        assert!(DateFormat::named("YYYY").is_err() && DateFormat::named("%Q%Q").is_err());
    }
}
