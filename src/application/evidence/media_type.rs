//! What kind of file this is: extension, declared type and the bytes themselves must say the same.

use super::file_name::extension;

/// How much of the beginning is looked at, in bytes.
pub const HEAD_BYTES: usize = 8 * 1024;
/// How much of the end is looked at: the longest ZIP end record (APPNOTE 4.3.16).
pub const TAIL_BYTES: usize = 22 + 65_535;

/// What the bytes are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Recognised by its first bytes.
    Binary,
    /// Text of any kind; never handed out under its own type, so that no browser interprets it.
    Text,
    /// A ZIP container with a known layout.
    Container,
}

/// One accepted kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Its media type.
    pub media_type: &'static str,
    /// Its extensions; the first is the usual one.
    pub extensions: &'static [&'static str],
    /// Other types under which it may be declared.
    pub also_declared: &'static [&'static str],
    /// What it is made of.
    pub family: Family,
}

impl Kind {
    /// Whether a file of this kind may come under the media type (in lower case, without parameters).
    pub fn may_be_declared(&self, essence: &str) -> bool {
        let unsaid = essence.is_empty() || essence == "application/octet-stream";
        let plain = self.family == Family::Text && essence == "text/plain";
        unsaid || plain || essence == self.media_type || self.also_declared.contains(&essence)
    }
}

const fn kind(media_type: &'static str, extensions: &'static [&'static str], family: Family) -> Kind {
    Kind { media_type, extensions, also_declared: &[], family }
}

/// Every kind that is accepted; nothing else is.
pub const KINDS: &[Kind] = &[
    kind("application/pdf", &["pdf"], Family::Binary),
    kind("image/png", &["png"], Family::Binary),
    Kind { also_declared: &["image/jpg", "image/pjpeg"], ..kind("image/jpeg", &["jpg", "jpeg"], Family::Binary) },
    kind("image/tiff", &["tif", "tiff"], Family::Binary),
    Kind {
        also_declared: &["text/markdown", "text/x-markdown"],
        ..kind("text/plain", &["txt", "log", "md"], Family::Text)
    },
    Kind {
        also_declared: &["application/csv", "application/vnd.ms-excel"],
        ..kind("text/csv", &["csv"], Family::Text)
    },
    kind("application/json", &["json"], Family::Text),
    Kind { also_declared: &["text/xml"], ..kind("application/xml", &["xml"], Family::Text) },
    Kind { also_declared: &["application/xhtml+xml"], ..kind("text/html", &["html", "htm"], Family::Text) },
    kind("message/rfc822", &["eml"], Family::Text),
    kind("application/vnd.openxmlformats-officedocument.wordprocessingml.document", &["docx"], Family::Container),
    kind("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", &["xlsx"], Family::Container),
    kind("application/vnd.openxmlformats-officedocument.presentationml.presentation", &["pptx"], Family::Container),
    kind("application/vnd.oasis.opendocument.text", &["odt"], Family::Container),
];

/// The kind that the name's extension stands for.
pub fn by_name(name: &str) -> Result<&'static Kind, String> {
    let extension = extension(name);
    KINDS.iter().find(|kind| kind.extensions.contains(&extension.as_str())).ok_or_else(|| {
        let all: Vec<_> = KINDS.iter().flat_map(|kind| kind.extensions).copied().collect();
        format!("files with the extension `{extension}` are not accepted; accepted are {}", all.join(", "))
    })
}

/// The kind with this media type.
pub fn by_media_type(media_type: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.media_type == media_type)
}

/// The kind that files declared under this media type (in lower case, without parameters) usually are.
pub fn declared_as(media_type: &str) -> Option<&'static Kind> {
    by_media_type(media_type).or_else(|| KINDS.iter().find(|kind| kind.also_declared.contains(&media_type)))
}

/// The type under which content is handed out: text of any kind only as bytes to save.
pub fn served_type(media_type: &str) -> &str {
    match by_media_type(media_type) {
        Some(kind) if kind.family != Family::Text => kind.media_type,
        _ => "application/octet-stream",
    }
}

/// Judges a file by its name, the type it was declared under, and its first and last bytes.
pub fn identify(name: &str, declared: &str, head: &[u8], tail: &[u8]) -> Result<&'static Kind, String> {
    let kind = by_name(name)?;
    declared_fits(kind, declared)?;
    let sniffed = infer::get(head).map(|found| found.mime_type());
    let found = sniffed.unwrap_or("bytes of no known kind");
    let contradiction =
        || format!("`{name}` does not hold what its name says: {} was expected, {found} found", kind.media_type);
    let fits = match kind.family {
        // A PDF must begin at its first byte: readers that search for its header disagree on what stands before.
        Family::Binary => {
            sniffed == Some(kind.media_type) && (kind.extensions[0] != "pdf" || head.starts_with(b"%PDF-"))
        }
        Family::Container => head.starts_with(b"PK\x03\x04"),
        Family::Text => is_text(head) && text_fits(kind, sniffed),
    };
    if !fits {
        return Err(contradiction());
    }
    match second_nature(kind, head, tail) {
        Some(hidden) => Err(format!("`{name}` is {} and {hidden} at once; send a clean copy", kind.media_type)),
        None => Ok(kind),
    }
}

fn declared_fits(kind: &Kind, declared: &str) -> Result<(), String> {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind.may_be_declared(&essence) {
        return Ok(());
    }
    Err(format!("declared as {essence}, but the extension stands for {}", kind.media_type))
}

/// No byte that text never holds. Any encoding that leaves ASCII in place will do; UTF-16 does not.
fn is_text(head: &[u8]) -> bool {
    head.iter().all(|byte| *byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c))
}

/// Markup may stand only where markup is expected.
fn text_fits(kind: &Kind, sniffed: Option<&str>) -> bool {
    match sniffed {
        None => true,
        Some("text/html" | "text/xml") => matches!(kind.extensions[0], "html" | "xml" | "eml"),
        Some(other) => other == kind.media_type || other == "text/x-shellscript" && kind.media_type == "text/plain",
    }
}

/// What else the file could be taken for by another program.
fn second_nature(kind: &Kind, head: &[u8], tail: &[u8]) -> Option<&'static str> {
    let start = &head[..head.len().min(1_024)];
    if kind.media_type != "application/pdf" && contains(start, b"%pdf-") {
        // Readers look for the header in the first kilobyte, not only at the very beginning.
        return Some("a PDF");
    }
    if kind.family != Family::Container && ends_as_zip(tail) {
        return Some("a ZIP archive");
    }
    let image = kind.media_type.starts_with("image/");
    let markup: [&[u8]; 5] = [b"<script", b"<html", b"<!doctype html", b"<svg", b"<?php"];
    if image && markup.iter().any(|mark| contains(head, mark) || contains(tail, mark)) {
        return Some("markup that a browser could run");
    }
    None
}

/// Whether the bytes end with a plausible ZIP end record: readers find archives from their end.
fn ends_as_zip(tail: &[u8]) -> bool {
    tail.windows(4).enumerate().any(|(at, window)| {
        let record = &tail[at..];
        window == b"PK\x05\x06" && record.len() >= 22 && {
            let comment = usize::from(u16::from_le_bytes([record[20], record[21]]));
            22 + comment <= record.len() && record[4..8] == [0; 4]
        }
    })
}

/// Whether `needle` (in lower case) stands in the bytes, in any case.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
    const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n";

    fn judge(name: &str, declared: &str, bytes: &[u8]) -> Result<&'static str, String> {
        identify(name, declared, bytes, bytes).map(|kind| kind.media_type)
    }

    #[test]
    fn name_declaration_and_bytes_must_agree() {
        assert_eq!(judge("a.pdf", "application/pdf", PDF), Ok("application/pdf"));
        assert_eq!(judge("a.PNG", "", PNG), Ok("image/png"));
        assert_eq!(judge("a.csv", "text/plain; charset=latin1", b"a;b\r\n\xe9;1\r\n"), Ok("text/csv"));
        assert_eq!(judge("a.md", "text/markdown; charset=utf-8", b"# Orders\n"), Ok("text/plain"));
        assert_eq!(judge("page.html", "text/html", b"<!DOCTYPE html><html></html>"), Ok("text/html"));
        for (name, declared, bytes) in [
            ("a.exe", "", &b"MZ"[..]),
            ("a", "", PDF),
            ("a.png", "", PDF),
            ("a.pdf", "image/png", PDF),
            ("a.pdf", "", b"\n%PDF-1.7\n"),
            ("a.txt", "", b"MZ\x90\0"),
            ("a.txt", "", b"hello %PDF-1.4"),
            ("a.txt", "", b"<html><script>alert(1)</script>"),
            ("a.docx", "", PDF),
            ("a.svg", "image/svg+xml", b"<svg/>"),
        ] {
            assert!(judge(name, declared, bytes).is_err(), "{name} {declared}");
        }
    }

    #[test]
    fn a_file_that_is_two_things_at_once_is_refused() {
        let mut zip_end = b"PK\x05\x06".to_vec();
        zip_end.extend_from_slice(&[0; 18]);
        for (name, bytes) in [
            ("a.png", [PNG, &zip_end].concat()),
            ("a.pdf", [PDF, &zip_end].concat()),
            ("a.png", [PNG, b"<ScRiPt>alert(1)</script>"].concat()),
            ("a.png", [PNG, b"%PDF-1.4"].concat()),
        ] {
            let refusal = judge(name, "", &bytes).unwrap_err();
            assert!(refusal.contains("at once"), "{refusal}");
        }
    }

    #[test]
    fn text_of_any_kind_is_only_handed_out_as_bytes() {
        assert_eq!(served_type("text/html"), "application/octet-stream");
        assert_eq!(served_type("application/xml"), "application/octet-stream");
        assert_eq!(served_type("image/png"), "image/png");
        assert_eq!(served_type("made/up"), "application/octet-stream");
    }
}
