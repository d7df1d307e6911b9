//! The forms in which cases travel, and how their bytes become text.

use docket_domain::named_enum;

named_enum! {
    /// The form of a file of cases.
    Format, "format" {
        /// Comma-separated values with a header (RFC 4180).
        Csv = "csv",
        /// One JSON object a line.
        Jsonl = "jsonl",
    }
}

impl Format {
    /// What the end of a file's name says, if it says anything.
    pub fn of_name(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

named_enum! {
    /// How the bytes of a file become text.
    Encoding, "encoding" {
        /// UTF-8; a row that is not is rejected.
        Utf8 = "utf-8",
        /// Windows code page 1252, which holds ISO 8859-1.
        Cp1252 = "cp1252",
        /// UTF-8, and cp1252 for the rows that are not.
        Auto = "auto",
    }
}

impl Encoding {
    /// The text of a field; the error says which byte of it is not UTF-8.
    pub fn decode(self, bytes: Vec<u8>) -> Result<String, String> {
        match self {
            Self::Cp1252 => Ok(cp1252(&bytes)),
            Self::Utf8 | Self::Auto => String::from_utf8(bytes).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                format!(
                    "byte {} (0x{:02X}) is not UTF-8; save the file as UTF-8 or use --encoding cp1252 or auto",
                    at + 1,
                    error.as_bytes()[at]
                )
            }),
        }
    }

    /// The encoding of one row: `auto` decides for the row as a whole.
    #[must_use]
    pub fn of_row<'a>(self, mut parts: impl Iterator<Item = &'a [u8]>) -> Self {
        match self {
            Self::Auto if parts.any(|part| std::str::from_utf8(part).is_err()) => Self::Cp1252,
            Self::Auto => Self::Utf8,
            other => other,
        }
    }
}

fn cp1252(bytes: &[u8]) -> String {
    encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_utf_8_or_cp1252_as_a_whole() {
        let auto = Encoding::Auto;
        assert_eq!(auto.of_row([&b"caf\xc3\xa9"[..], b"x"].into_iter()), Encoding::Utf8);
        assert_eq!(auto.of_row([&b"x"[..], b"caf\xe9 \x80"].into_iter()), Encoding::Cp1252);
        assert_eq!(Encoding::Cp1252.decode(b"caf\xe9 \x80".to_vec()), Ok("café €".to_owned()));
        let error = Encoding::Utf8.decode(b"caf\xe9".to_vec()).expect_err("not UTF-8");
        assert!(error.starts_with("byte 4 (0xE9) is not UTF-8"), "{error}");
    }

    #[test]
    fn the_name_of_a_file_says_its_format() {
        assert_eq!(Format::of_name("a/b.CSV"), Some(Format::Csv));
        assert_eq!(Format::of_name("b.ndjson"), Some(Format::Jsonl));
        assert_eq!(Format::of_name("b"), None);
    }
}
